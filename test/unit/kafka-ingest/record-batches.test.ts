import { deepEqual, equal, match, rejects } from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import Decoder from 'kafkajs/src/protocol/decoder.js';
import decodeMessages from 'kafkajs/src/protocol/requests/fetch/v4/decodeMessages.js';
import type { BatchRecord } from '../../../modules/kafka-ingest/src/kafka/fetched-record.ts';
import { readRecordBatches } from '../../../modules/kafka-ingest/src/kafka/record-batches.ts';
import { batchOf, recordBytes, wireBatch } from '../../helpers/record-batch.ts';
import type { GivenRecord } from '../../helpers/record-batch.ts';

readRecordBatches();

const GZIP = 1;
const ZSTD = 4;

function given(count: number): GivenRecord[] {
  return Array.from({ length: count }, (_, n) => ({
    offsetDelta: n,
    timestampDelta: 0,
    key: null,
    value: Buffer.from(String(n)),
    headers: [],
  }));
}

/** What the library makes of the batches of one answer. */
async function decoded(...batches: readonly Buffer[]): Promise<readonly BatchRecord[]> {
  const bytes = Buffer.concat(batches);
  const size = Buffer.alloc(4);
  size.writeInt32BE(bytes.length);
  const records = await decodeMessages(new Decoder(Buffer.concat([size, bytes])));
  return records as readonly BatchRecord[];
}

const offsetsOf = (records: readonly BatchRecord[]): string[] => records.map(({ offset }) => offset);

for (const [name, attributes] of [
  ['plain', 0],
  ['gzip', GZIP],
  ['zstd', ZSTD],
] as const)
  test(`KI-1: a batch of more records than a call has arguments is read whole (${name})`, async () => {
    const records = given(150_000);
    const bytes = recordBytes(records);
    const packed =
      attributes === GZIP ? gzipSync(bytes) : attributes === ZSTD ? zstdCompressSync(bytes) : bytes;
    const read = await decoded(
      wireBatch(100, batchOf(records, { attributes }, packed)),
      wireBatch(150_100, batchOf(given(3))),
    );
    equal(read.length, 150_003);
    equal(String(read[149_999]?.value), '149999');
    deepEqual(
      [read[0], read[10_000], read[149_999], read[150_002]].map((one) => one?.offset),
      ['100', '10100', '150099', '150102'],
    );
  });

test('KI-14 KI-33: a batch that cannot be unpacked is one faulty record at its end, and those around it are read', async () => {
  for (const [codec, name] of [
    [1, 'gzip'],
    [2, 'snappy'],
    [3, 'lz4'],
    [4, 'zstd'],
    [7, 'codec 7'],
  ] as const) {
    const broken = batchOf(given(5), { attributes: codec }, Buffer.from('these bytes are nothing packed'));
    const read = await decoded(
      wireBatch(0, batchOf(given(2))),
      wireBatch(2, broken),
      wireBatch(7, batchOf(given(1))),
    );
    deepEqual(offsetsOf(read), ['0', '1', '6', '7'], name);
    equal(read[2]?.fault?.code, 'BAD_BATCH');
    match(read[2].fault.reason, new RegExp(`offsets 2 to 6 cannot be read: .*${name}`));
    deepEqual(read[2].value, broken);
  }
});

test('KI-14 KI-33: a few kilobytes that would unpack to more than memory should hold are not unpacked', async () => {
  const bomb = Buffer.alloc(80 * 1024 * 1024);
  for (const [attributes, packed] of [
    [GZIP, gzipSync(bomb)],
    [ZSTD, zstdCompressSync(bomb)],
  ] as const) {
    const [read] = await decoded(wireBatch(9, batchOf(given(2), { attributes }, packed)));
    equal(read?.offset, '10');
    equal(read.fault?.code, 'BAD_BATCH');
  }
});

test('KI-14: a batch that has fewer records than it says gives those, and a fault for the rest', async () => {
  const read = await decoded(wireBatch(0, batchOf(given(3), { count: 2_000_000_000, lastDelta: 8 })));
  deepEqual(offsetsOf(read), ['0', '1', '2', '8']);
  equal(read[3]?.fault?.code, 'BAD_BATCH');
});

test('KI-34: a batch that does not match its checksum is not taken', async () => {
  const batch = batchOf(given(3));
  batch[60] = (batch[60] ?? 0) ^ 1;
  await rejects(decoded(wireBatch(0, batch)), /checksum/);
});
