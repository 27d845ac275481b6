import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BatchRecords } from '../../../modules/kafka-ingest/src/kafka/fetched-record.ts';
import type { BatchRecord } from '../../../modules/kafka-ingest/src/kafka/fetched-record.ts';
import { headerText } from '../../../modules/kafka-ingest/src/record.ts';
import { batchOf, HEADER_BYTES } from '../../helpers/record-batch.ts';
import type { GivenRecord } from '../../helpers/record-batch.ts';

function readAll(batchBytes: Buffer, first: number, count: number): BatchRecord[] {
  return new BatchRecords(batchBytes, first, batchBytes, HEADER_BYTES, count).take(count);
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
      const read = readAll(batchOf(records, { firstTimestamp: 1000 }), first, records.length);
      equal(read.length, records.length);
      for (const [n, record] of read.entries()) {
        const { offsetDelta, timestampDelta, key, value, headers } = records[n] ?? records[0] ?? {};
        equal(record.offset, String(first + (offsetDelta ?? NaN)));
        equal(record.timestamp, String(1000 + (timestampDelta ?? NaN)));
        deepEqual(record.key, key);
        deepEqual(record.value, value);
        deepEqual(Object.entries(record.headers ?? {}), Object.entries(Object.fromEntries(headers ?? [])));
      }
    }),
  );
});

test('KI-29: the time of the broker, transactions and their markers are told apart', () => {
  const one: GivenRecord = { offsetDelta: 0, timestampDelta: 5, key: null, value: null, headers: [] };
  const [produced] = readAll(batchOf([one], { firstTimestamp: 1000, maxTimestamp: 9000 }), 3, 1);
  equal(produced?.timestamp, '1005');
  equal(produced.isControlRecord, false);
  deepEqual(produced.batchContext, { producerId: '77', inTransaction: false });
  const [marker] = readAll(
    batchOf([one], { attributes: 0x38, firstTimestamp: 1000, maxTimestamp: 9000 }),
    3,
    1,
  );
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
  const record: GivenRecord = { offsetDelta: 0, timestampDelta: 0, key: null, value: null, headers };
  const [read] = readAll(batchOf([record]), 0, 1);
  equal(headerText(read?.headers, 'a'), '2');
  equal(headerText(read?.headers, 'none'), undefined);
  equal(headerText(read?.headers, 'constructor'), undefined);
});
