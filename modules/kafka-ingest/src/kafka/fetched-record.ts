import type { KafkaRecord, RecordFault, RecordHeaders } from '../record.ts';

/** Of a record batch (format 2), counted from behind its length. */
const ATTRIBUTES_AT = 9;
const LAST_DELTA_AT = 11;
const FIRST_TIMESTAMP_AT = 15;
const MAX_TIMESTAMP_AT = 23;
const PRODUCER_ID_AT = 31;
const BROKER_SETS_TIME = 0x08;
const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;
const NO_HEADERS: RecordHeaders = {};

/** What the records of a batch have in common, by the client library's names. */
export interface BatchContext {
  readonly producerId: string;
  readonly inTransaction: boolean;
}

/** Where records were read from, with what they have in common. */
interface Origin {
  /** The records, unpacked. */
  readonly bytes: Buffer;
  readonly attributes: number;
  readonly firstTimestamp: bigint;
  readonly maxTimestamp: bigint;
  readonly context: BatchContext;
}

/**
 * The records of a batch, a run at a time. Each is no more than its place in the bytes: what is read of it is made when it is asked
 * for, and so does not live on in memory while the record waits for its turn.
 */
export class BatchRecords {
  readonly #batch: Buffer;
  readonly #origin: Origin;
  readonly #firstOffset: number;
  #at: number;
  #left: number;

  /** `batch` from behind its length; its records stand in `bytes` from `at` on, and there are so many. */
  constructor(batch: Buffer, firstOffset: number, bytes: Buffer, at: number, count: number) {
    const attributes = batch.readInt16BE(ATTRIBUTES_AT);
    this.#batch = batch;
    this.#firstOffset = firstOffset;
    this.#at = at;
    this.#left = count;
    this.#origin = {
      bytes,
      attributes,
      firstTimestamp: batch.readBigInt64BE(FIRST_TIMESTAMP_AT),
      maxTimestamp: batch.readBigInt64BE(MAX_TIMESTAMP_AT),
      context: contextOf(batch),
    };
  }

  get isDone(): boolean {
    return this.#left <= 0;
  }

  /** The next ones; when the bytes end too early, what says so is the last of them. */
  take(most: number): BatchRecord[] {
    const { bytes } = this.#origin;
    const records: BatchRecord[] = [];
    let at = this.#at;
    const count = Math.min(most, this.#left);
    this.#left -= count;
    for (let n = 0; n < count; n += 1) {
      cursor = at;
      const length = readVarint(bytes);
      const start = cursor;
      at = start + length;
      if (length <= 0 || at > bytes.length) {
        this.#left = 0;
        records.push(new UnreadableRecord(this.#batch, this.#firstOffset, 'it ends before its last record'));
        break;
      }
      cursor += 1;
      skipVarint(bytes);
      records.push(new FetchedRecord(this.#origin, String(this.#firstOffset + readVarint(bytes)), start));
    }
    this.#at = at;
    return records;
  }
}

/** What the client library has to know of a record. */
export interface BatchRecord extends KafkaRecord {
  /** It marks the end of a transaction, and is for the library alone. */
  readonly isControlRecord: boolean;
  readonly batchContext: BatchContext;
}

/** Stands for a whole batch whose records cannot be had: at its last offset, with its bytes. */
export class UnreadableRecord implements BatchRecord {
  readonly offset: string;
  readonly timestamp: string;
  readonly key = null;
  readonly value: Buffer;
  readonly headers = NO_HEADERS;
  readonly isControlRecord = false;
  readonly batchContext: BatchContext;
  readonly fault: RecordFault;

  constructor(batch: Buffer, firstOffset: number, why: string) {
    this.offset = String(firstOffset + batch.readInt32BE(LAST_DELTA_AT));
    this.timestamp = String(batch.readBigInt64BE(MAX_TIMESTAMP_AT));
    this.value = batch;
    this.batchContext = contextOf(batch);
    this.fault = {
      code: 'BAD_BATCH',
      reason: `the batch of offsets ${firstOffset} to ${this.offset} cannot be read: ${why}`,
    };
  }
}

function contextOf(batch: Buffer): BatchContext {
  return {
    producerId: String(batch.readBigInt64BE(PRODUCER_ID_AT)),
    inTransaction: (batch.readInt16BE(ATTRIBUTES_AT) & TRANSACTIONAL) !== 0,
  };
}

/** A record that is read from the bytes of its batch. */
class FetchedRecord implements BatchRecord {
  readonly offset: string;
  readonly #origin: Origin;
  readonly #at: number;

  constructor(origin: Origin, offset: string, at: number) {
    this.offset = offset;
    this.#origin = origin;
    this.#at = at;
  }

  get key(): Buffer | null {
    return readBytes(this.#origin.bytes, this.#toKey());
  }

  get value(): Buffer | null {
    const { bytes } = this.#origin;
    cursor = this.#toKey();
    skipBytes(bytes);
    return readBytes(bytes, cursor);
  }

  get timestamp(): string {
    const { bytes, attributes, firstTimestamp, maxTimestamp } = this.#origin;
    if ((attributes & BROKER_SETS_TIME) !== 0) return String(maxTimestamp);
    cursor = this.#at + 1;
    return String(firstTimestamp + readVarlong(bytes));
  }

  get headers(): RecordHeaders {
    const { bytes } = this.#origin;
    cursor = this.#toKey();
    skipBytes(bytes);
    skipBytes(bytes);
    const count = readVarint(bytes);
    return count > 0 ? readHeaders(bytes, count) : NO_HEADERS;
  }

  get isControlRecord(): boolean {
    return (this.#origin.attributes & CONTROL) !== 0;
  }

  get batchContext(): BatchContext {
    return this.#origin.context;
  }

  #toKey(): number {
    const { bytes } = this.#origin;
    cursor = this.#at + 1;
    skipVarint(bytes);
    skipVarint(bytes);
    return cursor;
  }
}

/** Where the next number is read. */
let cursor = 0;

function readVarint(bytes: Buffer): number {
  let byte = bytes[cursor++] ?? 0;
  let result = byte & 0x7f;
  for (let shift = 7; byte > 0x7f; shift += 7) {
    byte = bytes[cursor++] ?? 0;
    result |= (byte & 0x7f) << shift;
  }
  return (result >>> 1) ^ -(result & 1);
}

function readVarlong(bytes: Buffer): bigint {
  let byte = bytes[cursor++] ?? 0;
  let result = BigInt(byte & 0x7f);
  for (let shift = 7n; byte > 0x7f; shift += 7n) {
    byte = bytes[cursor++] ?? 0;
    result |= BigInt(byte & 0x7f) << shift;
  }
  return (result >> 1n) ^ -(result & 1n);
}

function skipVarint(bytes: Buffer): void {
  while ((bytes[cursor++] ?? 0) > 0x7f);
}

function skipBytes(bytes: Buffer): void {
  const length = readVarint(bytes);
  if (length > 0) cursor += length;
}

/** A length of -1 stands for nothing at all. */
function readBytes(bytes: Buffer, from: number): Buffer | null {
  cursor = from;
  const length = readVarint(bytes);
  if (length < 0) return null;
  const start = cursor;
  cursor += length;
  return bytes.subarray(start, cursor);
}

/** A name that occurs several times has all of its values. */
function readHeaders(bytes: Buffer, count: number): RecordHeaders {
  const found = new Map<string, (Buffer | null)[]>();
  for (let n = 0; n < count; n += 1) {
    const name = readBytes(bytes, cursor)?.toString() ?? '';
    const known = found.get(name) ?? [];
    known.push(readBytes(bytes, cursor));
    found.set(name, known);
  }
  return Object.fromEntries(
    [...found].map(([name, values]) => [name, values.length > 1 ? values : values[0]]),
  );
}
