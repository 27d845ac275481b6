/** Parts of the client library that its own types leave out: how it reads the records of one partition in the answer to a fetch. */
declare module 'kafkajs/src/protocol/decoder.js' {
  class Decoder {
    constructor(buffer: Buffer);
    readonly offset: number;
  }
  // The library is CommonJS: the class is all that the file exports.
  export = Decoder;
}

declare module 'kafkajs/src/protocol/requests/fetch/v4/decodeMessages.js' {
  import type Decoder from 'kafkajs/src/protocol/decoder.js';

  const decodeMessages: (decoder: Decoder) => Promise<readonly unknown[]>;
  export = decodeMessages;
}
