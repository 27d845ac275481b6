import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fetchedRecords } from '../../../modules/kafka-ingest/src/fetched-record.ts';
import { headerText } from '../../../modules/kafka-ingest/src/record.ts';

const HEADER_BYTES = 49;

interface Given {
  readonly offsetDelta: number;
  readonly timestampDelta: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly (readonly [string, Buffer | null])[];
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

function batch(records: readonly Given[], attributes: number, firstTimestamp: number, last: number): Buffer {
  const head = Buffer.alloc(HEADER_BYTES);
  head[4] = 2;
  head.writeInt16BE(attributes, 9);
  head.writeBigInt64BE(BigInt(firstTimestamp), 15);
  head.writeBigInt64BE(BigInt(last), 23);
  head.writeBigInt64BE(77n, 31);
  head.writeInt32BE(records.length, 45);
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
  return Buffer.concat([head, ...bodies]);
}

const someBytes = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
const given = fc.record({
  offsetDelta: fc.nat({ max: 2 ** 30 }),
  timestampDelta: fc.maxSafeInteger().map((number) => Math.trunc(number / 4)),
  key: fc.option(someBytes),
  value: fc.option(someBytes),
  headers: fc.uniqueArray(fc.tuple(fc.string(), fc.option(someBytes)), {
    maxLength: 4,
    selector: ([name]) => name,
  }),
});

test('KI-29: a record is read from its batch as it was produced, whatever is in it', () => {
  fc.assert(
    fc.property(fc.array(given), fc.nat({ max: 2 ** 50 }), (records, first) => {
      const read = fetchedRecords(batch(records, 0, 1000, 0), first, HEADER_BYTES, records.length);
      equal(read.length, records.length);
      for (const [n, record] of read.entries()) {
        const { offsetDelta, timestampDelta, key, value, headers } = records[n] ?? records[0] ?? {};
        equal(record.offset, String(first + (offsetDelta ?? NaN)));
        equal(record.timestamp, String(1000 + (timestampDelta ?? NaN)));
        deepEqual(record.key, key);
        deepEqual(record.value, value);
        deepEqual(Object.entries(record.headers), Object.entries(Object.fromEntries(headers ?? [])));
      }
    }),
  );
});

test('KI-29: the time of the broker, transactions and their markers are told apart', () => {
  const one: Given = { offsetDelta: 0, timestampDelta: 5, key: null, value: null, headers: [] };
  const [produced] = fetchedRecords(batch([one], 0, 1000, 9000), 3, HEADER_BYTES, 1);
  equal(produced?.timestamp, '1005');
  equal(produced.isControlRecord, false);
  deepEqual(produced.batchContext, { producerId: '77', inTransaction: false });
  const [marker] = fetchedRecords(batch([one], 0x38, 1000, 9000), 3, HEADER_BYTES, 1);
  equal(marker?.timestamp, '9000');
  equal(marker.isControlRecord, true);
  deepEqual(marker.batchContext, { producerId: '77', inTransaction: true });
});

test('KI-19: of a header that occurs several times the last value counts; one without a value is not there', () => {
  const headers = [
    ['a', Buffer.from('1')],
    ['a', Buffer.from('2')],
    ['none', null],
  ] as const;
  const record: Given = { offsetDelta: 0, timestampDelta: 0, key: null, value: null, headers };
  const [read] = fetchedRecords(batch([record], 0, 0, 0), 0, HEADER_BYTES, 1);
  equal(headerText(read?.headers, 'a'), '2');
  equal(headerText(read?.headers, 'none'), undefined);
  equal(headerText(read?.headers, 'constructor'), undefined);
});
