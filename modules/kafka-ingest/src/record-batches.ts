import Decoder from 'kafkajs/src/protocol/decoder.js';
import { crc32c } from './crc32c.ts';
import { fetchedRecords } from './fetched-record.ts';

/** Of a record batch, counted from behind its length: the format, the checksum, the first byte that it covers, the number of records. */
const MAGIC_AT = 4;
const CHECKSUM_AT = 5;
const COVERED_AT = 9;
const COUNT_AT = 45;
const MAGIC = 2;
/** First offset and length stand before what is cut out. */
const HEAD = 12;

let isInstalled = false;

/** Reads the records of a batch that is not compressed; all else as the library does. */
class BatchDecoder extends Decoder {
  readonly #firstOffset: number;

  constructor(buffer: Buffer, firstOffset: number) {
    super(buffer);
    this.#firstOffset = firstOffset;
  }

  override readArray(reader: (decoder: Decoder) => unknown): unknown[] {
    if (this.offset !== COUNT_AT) return super.readArray(reader);
    const count = this.readInt32();
    return fetchedRecords(this.buffer, this.#firstOffset, this.offset, count);
  }
}

/**
 * Makes the library check the checksums of record batches, which it reads past: a byte that changed on the way would be stored as if
 * it had been produced. A batch that does not hold together fails the fetch, which is then done again. Their records are read as
 * they are asked for: the library makes a dozen objects of each, most of which outlive several collections of garbage.
 */
export function readRecordBatches(): void {
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
      size > COUNT_AT &&
      part.buffer[MAGIC_AT] === MAGIC;
    if (!isBatch) return part;
    if (crc32c(part.buffer, COVERED_AT) !== part.buffer.readUInt32BE(CHECKSUM_AT))
      throw new Error('a batch of records does not match its checksum: it changed on its way here');
    return new BatchDecoder(part.buffer, Number(this.buffer.readBigInt64BE(this.offset - HEAD)));
  };
}
