import Decoder from 'kafkajs/src/protocol/decoder.js';
import { crc32c } from './crc32c.ts';

/** Of a record batch, counted from behind its length: the format, the checksum, and the first byte that the checksum covers. */
const MAGIC_AT = 4;
const CHECKSUM_AT = 5;
const COVERED_AT = 9;
const MAGIC = 2;
/** First offset and length stand before what is cut out. */
const HEAD = 12;

let isInstalled = false;

/**
 * Makes the library check the checksums of record batches, which it reads past: a byte that changed on the way would be stored as if
 * it had been produced. A batch that does not hold together fails the fetch, which is then done again.
 */
export function checkRecordChecksums(): void {
  if (isInstalled) return;
  isInstalled = true;
  const { prototype } = Decoder;
  const slice = Reflect.get(prototype, 'slice');
  prototype.slice = function (size) {
    const part = slice.call(this, size);
    const isBatch =
      this.offset >= HEAD &&
      this.buffer.readInt32BE(this.offset - 4) === size &&
      part.buffer.length === size &&
      size > COVERED_AT &&
      part.buffer[MAGIC_AT] === MAGIC;
    if (isBatch && crc32c(part.buffer, COVERED_AT) !== part.buffer.readUInt32BE(CHECKSUM_AT))
      throw new Error('a batch of records does not match its checksum: it changed on its way here');
    return part;
  };
}
