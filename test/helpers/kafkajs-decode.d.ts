/** A part of the client library that its own types leave out: the records of one partition in the answer to a fetch. */
declare module 'kafkajs/src/protocol/requests/fetch/v4/decodeMessages.js' {
  import type Decoder from 'kafkajs/src/protocol/decoder.js';
  import type { BatchRecord } from '../../modules/kafka-ingest/src/fetched-record.ts';

  // The library is CommonJS: the function is all that the file exports.
  const decodeMessages: (decoder: Decoder) => Promise<readonly BatchRecord[]>;
  export = decodeMessages;
}
