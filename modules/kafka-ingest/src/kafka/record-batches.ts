import Decoder from 'kafkajs/src/protocol/decoder.js';
import { unpack } from './codecs.ts';
import { crc32c } from './crc32c.ts';
import { BatchRecords, UnreadableRecord } from './fetched-record.ts';
import type { BatchRecord } from './fetched-record.ts';

/** Of a record batch, counted from behind its length: the format, the checksum, the first byte that it covers, the attributes, the number of records. */
const MAGIC_AT = 4;
const CHECKSUM_AT = 5;
const COVERED_AT = 9;
const ATTRIBUTES_AT = 9;
const COUNT_AT = 45;
const RECORDS_AT = 49;
const MAGIC = 2;
/** Bits of the attributes that say how the records are packed. */
const CODEC = 0x07;
/** First offset and length stand before what is cut out. */
const HEAD = 12;
/** The library passes the records of a batch as arguments of one call, of which there may be about a hundred thousand. */
const MOST = 10_000;

/** A batch that the library has taken a part of, and where it begins in what it reads from. */
interface Begun {
  readonly at: number;
  readonly records: BatchRecords;
}

let isInstalled = false;

/** Gives the library records that are read already, in place of those that it would unpack and read itself. */
class BatchDecoder extends Decoder {
  readonly #records: readonly BatchRecord[];

  constructor(buffer: Buffer, records: readonly BatchRecord[]) {
    super(buffer);
    this.#records = records;
  }

  override readInt16(): number {
    const isAttributes = this.offset === ATTRIBUTES_AT;
    const value = super.readInt16();
    return isAttributes ? value & ~CODEC : value;
  }

  override readArray(reader: (decoder: Decoder) => unknown): unknown[] {
    return this.offset === COUNT_AT ? [...this.#records] : super.readArray(reader);
  }
}

/**
 * Makes the library take the records of a batch from here. It reads past the checksums: a byte that changed on the way would be stored as
 * if it had been produced; a batch that does not hold together fails the fetch, which is then done again. It cannot take more
 * records than a call has arguments: a larger batch is given to it in parts. It gives up the whole fetch when a batch cannot be
 * unpacked: such a batch is one faulty record here, since fetching it again would bring the same. And it makes a dozen objects of each
 * record, most of which outlive several collections of garbage: here they are read as they are asked for.
 */
export function readRecordBatches(): void {
  if (isInstalled) return;
  isInstalled = true;
  const { prototype } = Decoder;
  const slice = Reflect.get(prototype, 'slice');
  const begun = new WeakMap<Decoder, Begun>();
  prototype.slice = function (size) {
    const part = slice.call(this, size);
    if (!isBatch(this, part.buffer, size)) return part;
    const at = this.offset - HEAD;
    const before = begun.get(this);
    const records = before?.at === at ? before.records : recordsOf(this, part.buffer);
    if (records instanceof UnreadableRecord) return new BatchDecoder(part.buffer, [records]);
    const taken = records.take(MOST);
    if (!records.isDone) {
      begun.set(this, { at, records });
      // The library goes on behind what was cut out, and so comes to the same batch again.
      this.offset = at - size;
    }
    return new BatchDecoder(part.buffer, taken);
  };
}

function isBatch(whole: Decoder, part: Buffer, size: number): boolean {
  return (
    whole.offset >= HEAD &&
    whole.buffer.readInt32BE(whole.offset - 4) === size &&
    part.length === size &&
    size > COUNT_AT &&
    part[MAGIC_AT] === MAGIC
  );
}

function recordsOf(whole: Decoder, batch: Buffer): BatchRecords | UnreadableRecord {
  if (crc32c(batch, COVERED_AT) !== batch.readUInt32BE(CHECKSUM_AT))
    throw new Error('a batch of records does not match its checksum: it changed on its way here');
  const firstOffset = Number(whole.buffer.readBigInt64BE(whole.offset - HEAD));
  const codec = batch.readInt16BE(ATTRIBUTES_AT) & CODEC;
  const count = batch.readInt32BE(COUNT_AT);
  if (codec === 0) return new BatchRecords(batch, firstOffset, batch, RECORDS_AT, count);
  try {
    return new BatchRecords(batch, firstOffset, unpack(codec, batch.subarray(RECORDS_AT)), 0, count);
  } catch (error) {
    return new UnreadableRecord(batch, firstOffset, error instanceof Error ? error.message : 'no reason');
  }
}
