import { deepEqual, equal } from 'node:assert/strict';
import { after, test } from 'node:test';
import { ingestBed } from '../helpers/ingest-bed.ts';
import { startKafka } from '../helpers/kafka.ts';
import type { TestRecord } from '../helpers/kafka.ts';

const kafka = await startKafka(undefined, { properties: { 'message.max.bytes': '8000000' } });
after(() => kafka.stop());

type Outcome = 'stored' | 'dead letter';

interface Hostile {
  readonly what: string;
  readonly record: TestRecord;
  readonly outcome: Outcome;
  /** Fields of the hash `x:N`, where N is the record's place. */
  readonly fields?: Readonly<Record<string, string>>;
}

const deep = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
const objects = (depth: number): string => '{"a":'.repeat(depth) + '1' + '}'.repeat(depth);
const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`f${n}`, String(n)]));

const hostile: readonly Hostile[] = [
  { what: 'nothing at all', record: { value: '' }, outcome: 'dead letter' },
  { what: 'JSON null', record: { value: 'null' }, outcome: 'dead letter' },
  { what: 'a number', record: { value: '1e400' }, outcome: 'dead letter' },
  { what: 'an array nested 200,000 deep', record: { value: deep(200_000) }, outcome: 'dead letter' },
  {
    what: 'a field nested 200,000 deep',
    record: { value: `{"a":${deep(200_000)}}` },
    outcome: 'dead letter',
  },
  { what: 'objects nested 100,000 deep', record: { value: objects(100_000) }, outcome: 'dead letter' },
  {
    what: 'names of the language',
    record: { value: '{"__proto__":"p","constructor":"c","toString":"t","hasOwnProperty":"h"}' },
    outcome: 'stored',
    fields: JSON.parse('{"__proto__":"p","constructor":"c","toString":"t","hasOwnProperty":"h"}') as Record<
      string,
      string
    >,
  },
  {
    what: 'a NUL and a line end',
    record: { value: '{"a\\u0000\\r\\n":"\\u0000\\r\\n$5"}' },
    outcome: 'stored',
    fields: { 'a\0\r\n': '\0\r\n$5' },
  },
  {
    what: 'half of a surrogate pair',
    record: { value: '{"a\\ud800":"\\udc00x"}' },
    outcome: 'stored',
    fields: { 'a\ufffd': '\ufffdx' },
  },
  { what: 'the same name twice', record: { value: '{"a":1,"a":2}' }, outcome: 'stored', fields: { a: '2' } },
  { what: 'a name of no characters', record: { value: '{"":1}' }, outcome: 'stored', fields: { '': '1' } },
  {
    what: 'a number of many digits',
    record: { value: '{"n":12345678901234567890.5}' },
    outcome: 'stored',
    fields: { n: '12345678901234567890.5' },
  },
  {
    what: 'bytes that are no UTF-8',
    record: { value: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]) },
    outcome: 'dead letter',
  },
  { what: '20,000 fields', record: { value: JSON.stringify(many) }, outcome: 'stored', fields: many },
  {
    what: '900 KB of text',
    record: { value: JSON.stringify({ a: 'x'.repeat(900_000) }) },
    outcome: 'stored',
    fields: { a: 'x'.repeat(900_000) },
  },
  {
    what: 'more than a megabyte',
    record: { value: JSON.stringify({ a: 'x'.repeat(2_000_000) }) },
    outcome: 'dead letter',
  },
  { what: 'no key', record: { key: null, value: '{"a":1}' }, outcome: 'dead letter' },
  { what: 'a key of no bytes', record: { key: '', value: '{"a":1}' }, outcome: 'dead letter' },
  { what: 'a tombstone without a key', record: { key: null, value: null }, outcome: 'dead letter' },
  {
    what: 'a key of two megabytes',
    record: { key: 'k'.repeat(2_000_000), value: '{"a":1}' },
    outcome: 'dead letter',
  },
  {
    what: 'a key of two megabytes to delete',
    record: { key: 'k'.repeat(2_000_000), value: null },
    outcome: 'dead letter',
  },
  {
    what: 'a header that is no time to live',
    record: { value: '{"a":1}', headers: { 'redis.key.ttl': 'soon' } },
    outcome: 'dead letter',
  },
  {
    what: 'headers of every name',
    record: { value: '{"a":1}', headers: { '': '', __proto__x: Buffer.from([0xff]), constructor: 'c' } },
    outcome: 'stored',
    fields: { a: '1' },
  },
];

for (const nested of ['json', 'flatten'])
  test(`KI-14 KI-16: hostile records between good ones hold up nothing (nested values as ${nested})`, async (t) => {
    const bed = await ingestBed(t, { kafka, partitions: 1, environment: { NESTED: nested } });
    const records = hostile.flatMap(({ record }, n): TestRecord[] => [
      { key: `p0:before${n}`, value: `{"n":${n}}` },
      { key: `x:${n}`, ...record },
      { key: 'p0:last', value: `{"n":${n}}` },
    ]);
    for (const record of records) await kafka.produce(bed.topic, [{ partition: 0, ...record }]);
    const ingest = await bed.instance('hostile');
    ingest.start();
    await bed.settled();
    const letters = await bed.client.xrange('dlq:kafka-ingest', '-', '+');
    const dead = new Set(letters.map(([, fields]) => Number(fields[fields.indexOf('offset') + 1])));
    const outcomes = hostile.map(({ what }, n) => [what, dead.has(n * 3 + 1) ? 'dead letter' : 'stored']);
    deepEqual(
      outcomes,
      hostile.map(({ what, outcome }) => [what, outcome]),
    );
    equal(dead.size, letters.length, 'each once');
    for (const [n, { what, fields }] of hostile.entries()) {
      if (fields !== undefined)
        deepEqual(
          new Map(Object.entries(await bed.client.hgetall(`x:${n}`))),
          new Map(Object.entries(fields)),
          what,
        );
      deepEqual(await bed.client.hgetall(`p0:before${n}`), { n: String(n) }, `before ${what}`);
    }
    deepEqual(await bed.client.hgetall('p0:last'), { n: String(hostile.length - 1) });
    await ingest.kill('SIGKILL');
  });

test('KI-3 AM-5: records whose keys are those that the module keeps for itself touch none of them', async (t) => {
  const bed = await ingestBed(t, { kafka, partitions: 1 });
  const { clusterId } = await kafka.admin.describeCluster();
  const own = [
    `iotedge-redis:kafka-ingest:{${bed.group}}:${clusterId}:${bed.topic}:0`,
    `iotedge-redis:kafka-ingest:{${bed.group}}:cluster:${bed.topic}`,
    'iotedge-redis:redis-sync:anything',
    'dlq:kafka-ingest',
    `changes:${bed.topic}:0`,
  ];
  const records = own.flatMap((key, n): TestRecord[] => [
    { key: `p0:${n}`, value: '{"n":1}' },
    { key, value: '{"next":"0","ts":"","evil":"1"}' },
    { key: `p0:${n}`, value: '{"n":2}' },
    { key, value: null },
    { key: `p0:${n}`, value: '{"n":3}' },
  ]);
  await kafka.produce(
    bed.topic,
    records.map((record) => ({ partition: 0, ...record })),
  );
  const ingest = await bed.instance('own');
  ingest.start();
  await bed.settled();
  const letters = await bed.client.xrange('dlq:kafka-ingest', '-', '+');
  deepEqual(
    letters.map(([, fields]) => Number(fields[fields.indexOf('offset') + 1])),
    own.flatMap((_, n) => [n * 5 + 1, n * 5 + 3]),
  );
  const changes = await bed.client.xrange(`changes:${bed.topic}:0`, '-', '+');
  equal(changes.length, own.length * 3);
  for (const n of own.keys()) deepEqual(await bed.client.hgetall(`p0:${n}`), { n: '3' });
  equal(await bed.client.exists('iotedge-redis:redis-sync:anything'), 0);
  await ingest.kill('SIGKILL');
});
