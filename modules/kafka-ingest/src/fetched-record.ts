import type { KafkaRecord, RecordHeaders } from './record.ts';

/** Of a record batch (format 2), counted from behind its length. */
const ATTRIBUTES_AT = 9;
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

/** A batch as it came, with what its records have in common. */
interface Origin {
  readonly bytes: Buffer;
  readonly attributes: number;
  readonly context: BatchContext;
}

/**
 * The records of an uncompressed batch. Each is no more than its place in the bytes: what is read of it is made when it is asked for, and so
 * does not live on in memory while the record waits for its turn.
 */
export function fetchedRecords(
  bytes: Buffer,
  firstOffset: number,
  from: number,
  count: number,
): FetchedRecord[] {
  const attributes = bytes.readInt16BE(ATTRIBUTES_AT);
  const origin: Origin = {
    bytes,
    attributes,
    context: {
      producerId: String(bytes.readBigInt64BE(PRODUCER_ID_AT)),
      inTransaction: (attributes & TRANSACTIONAL) !== 0,
    },
  };
  const records: FetchedRecord[] = [];
  let at = from;
  for (let n = 0; n < count; n += 1) {
    cursor = at;
    const length = readVarint(bytes);
    const start = cursor;
    cursor += 1;
    skipVarint(bytes);
    records.push(new FetchedRecord(origin, String(firstOffset + readVarint(bytes)), start));
    at = start + length;
  }
  return records;
}

/** A record that is read from the bytes of its batch. */
export class FetchedRecord implements KafkaRecord {
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
    const { bytes, attributes } = this.#origin;
    if ((attributes & BROKER_SETS_TIME) !== 0) return String(bytes.readBigInt64BE(MAX_TIMESTAMP_AT));
    cursor = this.#at + 1;
    return String(bytes.readBigInt64BE(FIRST_TIMESTAMP_AT) + readVarlong(bytes));
  }

  get headers(): RecordHeaders {
    const { bytes } = this.#origin;
    cursor = this.#toKey();
    skipBytes(bytes);
    skipBytes(bytes);
    const count = readVarint(bytes);
    return count > 0 ? readHeaders(bytes, count) : NO_HEADERS;
  }

  /** It marks the end of a transaction, and is for the library alone. */
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
