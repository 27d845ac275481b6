/** A part of the client library that its own types leave out. */
declare module 'kafkajs/src/protocol/decoder.js' {
  class Decoder {
    constructor(buffer: Buffer);
    readonly buffer: Buffer;
    offset: number;
    slice(size: number): Decoder;
    readInt16(): number;
    readArray(reader: (decoder: Decoder) => unknown): unknown[];
  }
  // The library is CommonJS: the class is all that the file exports.
  export = Decoder;
}
