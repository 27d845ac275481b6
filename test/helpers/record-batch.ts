import { crc32c } from '../../modules/kafka-ingest/src/kafka/crc32c.ts';

/** Of a record batch, from behind its length to its records. */
export const HEADER_BYTES = 49;

export interface GivenRecord {
  readonly offsetDelta: number;
  readonly timestampDelta: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly (readonly [string, Buffer | null])[];
}

export interface BatchFacts {
  /** Codec, time and transaction, as the protocol has them. */
  readonly attributes?: number;
  readonly firstTimestamp?: number;
  readonly maxTimestamp?: number;
  /** What the header says of the last record, where that is not what is there. */
  readonly lastDelta?: number;
  readonly count?: number;
}

/** Zigzag, seven bits a byte, lowest first. */
function varint(number: number): Buffer {
  let rest = number < 0 ? -2n * BigInt(number) - 1n : 2n * BigInt(number);
  const bytes: number[] = [];
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(rest)]);
}

function sized(bytes: Buffer | null): Buffer {
  return bytes === null ? varint(-1) : Buffer.concat([varint(bytes.length), bytes]);
}

/** Records one after the other, as they stand in a batch. */
export function recordBytes(records: readonly GivenRecord[]): Buffer {
  const bodies = records.map(({ offsetDelta, timestampDelta, key, value, headers }) =>
    sized(
      Buffer.concat([
        Buffer.alloc(1),
        varint(timestampDelta),
        varint(offsetDelta),
        sized(key),
        sized(value),
        varint(headers.length),
        ...headers.flatMap(([name, text]) => [sized(Buffer.from(name)), sized(text)]),
      ]),
    ),
  );
  return Buffer.concat(bodies);
}

/** A batch from behind its length; `packed` are its records, compressed as the attributes say. */
export function batchOf(
  records: readonly GivenRecord[],
  facts: BatchFacts = {},
  packed = recordBytes(records),
): Buffer {
  const head = Buffer.alloc(HEADER_BYTES);
  head[4] = 2;
  head.writeInt16BE(facts.attributes ?? 0, 9);
  head.writeInt32BE(facts.lastDelta ?? records.at(-1)?.offsetDelta ?? 0, 11);
  head.writeBigInt64BE(BigInt(facts.firstTimestamp ?? 0), 15);
  head.writeBigInt64BE(BigInt(facts.maxTimestamp ?? 0), 23);
  head.writeBigInt64BE(77n, 31);
  head.writeInt32BE(facts.count ?? records.length, 45);
  const batch = Buffer.concat([head, packed]);
  batch.writeUInt32BE(crc32c(batch, 9), 5);
  return batch;
}

/** The batch as it stands in an answer of the broker: with its first offset and its length. */
export function wireBatch(firstOffset: number, batch: Buffer): Buffer {
  const head = Buffer.alloc(12);
  head.writeBigInt64BE(BigInt(firstOffset), 0);
  head.writeInt32BE(batch.length, 8);
  return Buffer.concat([head, batch]);
}
