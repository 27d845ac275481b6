import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { JsonObject } from '@iotedge-redis/common';
import { ingestPart } from '../helpers/ingest-part.ts';
import type { IngestPart } from '../helpers/ingest-part.ts';
import { startKafka } from '../helpers/kafka.ts';
import type { TestKafka } from '../helpers/kafka.ts';
import { startRedis } from '../helpers/redis.ts';
import type { TestRedis } from '../helpers/redis.ts';

let kafka: TestKafka;
let redis: TestRedis;

before(async () => {
  [kafka, redis] = await Promise.all([startKafka(undefined), startRedis(undefined)]);
});
after(async () => {
  await Promise.all([kafka.stop(), redis.stop()]);
});

/** Keys of one test are apart from those of the others, which share the server. */
function named(part: Pick<IngestPart, 'topic'>, key: string): string {
  return `${part.topic}:${key}`;
}

function heardOn(part: IngestPart, channel: string): string[] {
  return part.heard.filter((notice) => notice.channel === channel).map(({ text }) => text);
}

async function changes(part: IngestPart): Promise<string[]> {
  const entries = await part.client.xrange(`changes:${part.topic}:0`, '-', '+');
  return entries.map(([id, pairs]) => [id, ...pairs].join(' '));
}

const json = JSON.stringify;

test('KI-1 KI-19 KI-24 KI-27 KI-41: the settings of the original store, index and tell of a record as it did, and leave a change to catch up', async (t) => {
  const part = await ingestPart(t, {
    kafka,
    redis,
    settings: {
      keyTemplate: 'battery:{battery_id|-1}:data',
      excludeFields: ['battery_id'],
      indexKey: 'info:batteries:ids',
      indexMember: '{battery_id|-1}',
    },
  });
  await kafka.produce(part.topic, [
    {
      key: null,
      value: json({ battery_id: 7, voltage: 12.5, site: 'nørd', ok: true, cells: [1, { a: null }] }),
    },
    { key: null, value: json({ voltage: 1 }) },
    { key: null, value: json({ battery_id: 7, voltage: 13 }) },
  ]);
  await part.start();
  await part.settled();
  deepEqual(await part.client.hgetall('battery:7:data'), {
    voltage: '13',
    site: 'nørd',
    ok: 'true',
    cells: '[1,{"a":null}]',
  });
  deepEqual(await part.client.hgetall('battery:-1:data'), { voltage: '1' });
  deepEqual((await part.client.smembers('info:batteries:ids')).sort(), ['-1', '7']);
  await part.until('three notices', () => part.heard.length >= 3);
  deepEqual(
    part.heard.map(({ channel, text }) => `${channel} ${text}`),
    ['battery:7:data updates', 'battery:-1:data updates', 'battery:7:data updates'],
  );
  deepEqual(await changes(part), [
    '0-1 key battery:7:data op updated',
    '1-1 key battery:-1:data op updated',
    '2-1 key battery:7:data op updated',
  ]);
  equal((await part.position())['next'], '3');
});

test('KI-20 KI-21 KI-22: hash merges and null removes a field; hash-replace leaves nothing else; string and json keep the bytes; a tombstone deletes and tells', async (t) => {
  const part = await ingestPart(t, { kafka, redis });
  const key = named(part, 'k');
  await part.start();
  await kafka.produce(part.topic, [
    { key, value: json({ a: 1, b: 'x' }) },
    { key, value: json({ a: null, c: 2 }) },
  ]);
  await part.settled();
  deepEqual(await part.client.hgetall(key), { b: 'x', c: '2' });
  part.applyLive({ valueMode: 'hash-replace', ttlSeconds: 100 });
  await kafka.produce(part.topic, [{ key, value: json({ d: { e: 1 } }) }]);
  await part.settled();
  deepEqual(await part.client.hgetall(key), { d: '{"e":1}' });
  ok((await part.client.ttl(key)) > 90);
  part.applyLive({ valueMode: 'string' });
  const bytes = Buffer.from([0, 255, 10, 13]);
  await kafka.produce(part.topic, [{ key, value: bytes }]);
  await part.settled();
  deepEqual(await part.client.getBuffer(key), bytes);
  equal(await part.client.ttl(key), -1);
  part.applyLive({ valueMode: 'json', onError: 'skip' });
  await kafka.produce(part.topic, [
    { key, value: '[1, 2]' },
    { key, value: 'no json' },
  ]);
  await part.settled();
  equal(await part.client.get(key), '[1, 2]');
  await kafka.produce(part.topic, [{ key, value: null }]);
  await part.settled();
  equal(await part.client.exists(key), 0);
  await part.until('the notice of the deletion', () => heardOn(part, key).includes('deleted'));
  deepEqual(heardOn(part, key), ['updates', 'updates', 'updates', 'updates', 'updates', 'deleted']);
  equal((await changes(part)).at(-1), `6-1 key ${key} op deleted`);
});

test('KI-19: long numbers keep every digit, in a key, in a field and inside of an object', async (t) => {
  const part = await ingestPart(t, { kafka, redis, settings: { keyTemplate: '{@topic}:{id}' } });
  await kafka.produce(part.topic, [
    {
      key: null,
      value: '{"id":12345678901234567890,"ns":1764115200123456789,"in":{"x":98765432109876543210},"p":0.1}',
    },
  ]);
  await part.start();
  await part.settled();
  deepEqual(await part.client.hgetall(`${part.topic}:12345678901234567890`), {
    id: '12345678901234567890',
    ns: '1764115200123456789',
    in: '{"x":98765432109876543210}',
    p: '0.1',
  });
});

test('KI-23: a time to live by field counts before one by header, and that before the setting', async (t) => {
  const part = await ingestPart(t, { kafka, redis, settings: { ttlSeconds: 1000, ttlField: 'ttl' } });
  const headers = { 'redis.key.ttl': '2000' };
  await kafka.produce(part.topic, [
    { key: named(part, 'setting'), value: json({ a: 1 }) },
    { key: named(part, 'header'), value: json({ a: 1 }), headers },
    { key: named(part, 'field'), value: json({ a: 1, ttl: 3000 }), headers },
  ]);
  await part.start();
  await part.settled();
  for (const [name, seconds] of [
    ['setting', 1000],
    ['header', 2000],
    ['field', 3000],
  ] as const) {
    const left = await part.client.ttl(named(part, name));
    ok(left > seconds - 60 && left <= seconds, `${name}: ${left}`);
  }
});

test('KI-25 KI-28: a JSON notice says what changed, and a record that changes nothing is not told of when that is asked for', async (t) => {
  const part = await ingestPart(t, { kafka, redis, settings: { notify: 'json', suppressUnchanged: true } });
  const key = named(part, 'k');
  await kafka.produce(part.topic, [
    { key, value: json({ a: 1, b: 2 }), timestamp: '1700000000000' },
    { key, value: json({ a: 1, b: 2 }) },
    { key, value: json({ a: 1, b: 3 }), timestamp: '1700000000002' },
    { key, value: json({ b: null }), timestamp: '1700000000003' },
  ]);
  await part.start();
  await part.settled();
  await part.until('three notices', () => heardOn(part, key).length >= 3);
  const notices = heardOn(part, key).map((text) => JSON.parse(text) as JsonObject);
  const common = { key, op: 'updated', topic: part.topic, partition: 0 };
  deepEqual(notices, [
    { ...common, ver: 0, offset: 0, ts: 1_700_000_000_000, changed: ['a', 'b'] },
    { ...common, ver: 2, offset: 2, ts: 1_700_000_000_002, changed: ['b'] },
    { ...common, ver: 3, offset: 3, ts: 1_700_000_000_003, changed: ['b'] },
  ]);
  equal((await changes(part)).length, 3);
  equal((await part.status())['applied'], 4);
});

test('KI-24: consumers of keyspace channels hear of it there, with the event as payload', async (t) => {
  const part = await ingestPart(t, {
    kafka,
    redis,
    settings: { channelTemplate: '__keyspace@{@db}__:{@redisKey}', notify: 'event' },
  });
  const key = named(part, 'k');
  await kafka.produce(part.topic, [
    { key, value: json({ a: 1 }) },
    { key, value: null },
  ]);
  await part.start();
  await part.until('two notices', () => part.heard.length >= 2);
  deepEqual(part.heard, [
    { channel: `__keyspace@0__:${key}`, text: 'hset' },
    { channel: `__keyspace@0__:${key}`, text: 'del' },
  ]);
});

test('KI-3 KI-14 KI-16: records that cannot be stored become dead letters with their bytes, in the same step, at every place of a batch; the others take effect', async (t) => {
  const part = await ingestPart(t, { kafka, redis, settings: { maxRecordBytes: 2000, batchRecords: 4 } });
  const key = named(part, 'k');
  const wrong = named(part, 'wrong');
  await part.client.set(wrong, 'a string');
  const good = (n: number) => ({ key, value: json({ n }) });
  await kafka.produce(part.topic, [
    { key, value: 'no json' },
    good(1),
    { key: wrong, value: json({ a: 1 }) },
    { key: wrong, value: json({ a: 2 }) },
    { key: null, value: json({ a: 3 }), headers: { source: 'x' } },
    good(5),
    good(6),
    { key, value: json({ a: 'x'.repeat(3000) }) },
  ]);
  await part.start();
  await part.settled();
  deepEqual(await part.client.hgetall(key), { n: '6' });
  equal(await part.client.get(wrong), 'a string');
  await part.until('the notices', () => heardOn(part, key).length >= 3);
  equal(part.heard.length, 3);
  const letters = (await part.client.xrange('dlq:kafka-ingest', '-', '+')).map(([, pairs]) =>
    fieldsOf(pairs),
  );
  const ours = letters.filter(({ topic }) => topic === part.topic);
  deepEqual(
    ours.map(({ offset, code }) => `${offset} ${code}`),
    ['0 BAD_JSON', '2 WRONG_TYPE', '3 WRONG_TYPE', '4 NO_KEY', '7 TOO_LARGE'],
  );
  equal(ours[0]?.['value'], 'no json');
  equal(ours[1]?.['key'], wrong);
  equal(ours[3]?.['key'], undefined);
  equal(ours[3]?.['headers'], '{"source":"x"}');
  const status = await part.status();
  equal(status['deadLettered'], 5);
  equal(status['applied'], 3);
  match(part.metrics.text(), /kafka_ingest_dead_letters_total 5\n/);
});

test('KI-14: ReplayDeadLetters puts them through again under the settings of now, and each takes effect once', async (t) => {
  const part = await ingestPart(t, { kafka, redis });
  const wrong = named(part, 'wrong');
  await part.client.set(wrong, 'a string');
  await kafka.produce(part.topic, [
    { key: wrong, value: json({ a: 1 }) },
    { key: null, value: json({ id: 5 }) },
    { key: named(part, 'last'), value: json({ a: 1 }) },
  ]);
  await part.start();
  await part.settled();
  await part.client.del(wrong);
  part.applyLive({ keyTemplate: '{@topic}:{id|wrong}' });
  const reply = await part.call('ReplayDeadLetters', { topic: part.topic });
  equal(reply.status, 200);
  deepEqual(reply.payload, {
    Message: '2 dead letters took effect',
    Status: 200,
    replayed: 2,
    failed: 0,
    left: 0,
  });
  deepEqual(await part.client.hgetall(wrong), { a: '1' });
  deepEqual(await part.client.hgetall(named(part, '5')), { id: '5' });
  await part.until('the notices of the replay', () => heardOn(part, named(part, '5')).length === 1);
  deepEqual(await changes(part), [
    `2-1 key ${named(part, 'last')} op updated`,
    `2-2 key ${wrong} op updated replay 0`,
    `2-3 key ${named(part, '5')} op updated replay 1`,
  ]);
  const again = await part.call('ReplayDeadLetters', { topic: part.topic });
  equal((again.payload as JsonObject)['replayed'], 0);
});

test('KI-14: when the dead-letter stream is full the partition waits and says so, and goes on when there is room', async (t) => {
  const own = await startRedis(t);
  const part = await ingestPart(t, { kafka, redis: own, settings: { deadLetterMax: 2 } });
  const bad = { key: 'k', value: 'no json' };
  await kafka.produce(part.topic, [
    bad,
    bad,
    { key: 'k', value: json({ n: 1 }) },
    bad,
    { key: 'k', value: json({ n: 2 }) },
  ]);
  await part.start();
  await part.until('the partition is held', async () => (await part.text('problem')).includes('full'));
  equal(part.ingest.health().state, 'degraded');
  equal((await part.position())['next'], '3');
  equal(await part.client.hget('k', 'n'), '1');
  await part.client.xtrim('dlq:kafka-ingest', 'MAXLEN', 0);
  await part.call('Resume');
  await part.settled();
  equal(await part.client.hget('k', 'n'), '2');
  equal(await part.client.xlen('dlq:kafka-ingest'), 1);
  equal(part.ingest.health().state, 'ok');
});

test('KI-15: onError stop holds the partition before the record until the settings allow it', async (t) => {
  const part = await ingestPart(t, { kafka, redis, settings: { onError: 'stop' } });
  const key = named(part, 'k');
  await kafka.produce(part.topic, [
    { key, value: json({ n: 1 }) },
    { key, value: 'no json' },
    { key, value: json({ n: 3 }) },
  ]);
  await part.start();
  await part.until('the partition is held', async () => (await part.text('problem')).includes('onError'));
  equal((await part.position())['next'], '1');
  part.applyLive({ onError: 'skip' });
  await part.settled();
  equal(await part.client.hget(key, 'n'), '3');
  equal((await part.status())['skipped'], 1);
});

test('KI-40: 20 bad records in a row are taken for a wrong setting: no more dead letters, until a good one comes or Resume is called', async (t) => {
  const own = await startRedis(t);
  const part = await ingestPart(t, { kafka, redis: own, settings: { keyTemplate: '{nothing}' } });
  await kafka.produce(
    part.topic,
    Array.from({ length: 50 }, (_, n) => ({ key: `k${n}`, value: json({ n }) })),
  );
  await part.start();
  await part.until('the partition is held', async () =>
    (await part.text('problem')).includes('20 records in a row'),
  );
  equal(await part.client.xlen('dlq:kafka-ingest'), 20);
  equal((await part.position())['next'], '20');
  part.applyLive({ keyTemplate: '{@key}' });
  await part.settled();
  equal(await part.client.xlen('dlq:kafka-ingest'), 20);
  equal(await part.client.hget('k49', 'n'), '49');
});

test('KI-13 KI-17: Pause keeps the group membership and applies nothing; Resume goes on, and the status tells lag and reason', async (t) => {
  const part = await ingestPart(t, { kafka, redis, settings: { sessionTimeoutMs: 1000 } });
  const key = named(part, 'k');
  await part.start();
  await part.until('the consumer is at work', async () => (await part.status())['partitionsAssigned'] === 1);
  equal((await part.call('Pause')).status, 200);
  await kafka.produce(part.topic, [{ key, value: json({ n: 1 }) }]);
  // Three times the session time-out: who sends no heartbeat is out of the group by then.
  await new Promise((resolve) => setTimeout(resolve, 3000));
  equal(await part.client.exists(key), 0);
  const { members } = (await kafka.admin.describeGroups([part.group])).groups[0] ?? { members: [] };
  equal(members.length, 1);
  match(await part.text('paused'), /method Pause/);
  equal(part.ingest.health().state, 'degraded');
  equal((await part.call('Resume')).status, 200);
  await part.settled();
  equal(await part.client.hget(key, 'n'), '1');
  equal((await part.status())['lag'], 0);
});

test('KI-13: the setting paused holds and goes on without a restart, and outranks Resume', async (t) => {
  const part = await ingestPart(t, { kafka, redis });
  const key = named(part, 'k');
  await part.start();
  part.applyLive({ paused: true });
  await kafka.produce(part.topic, [{ key, value: json({ n: 1 }) }]);
  await part.until('the record is there to be applied', async () => (await part.status())['lag'] === 1);
  const reply = await part.call('Resume');
  equal(reply.status, 409);
  match(json(reply.payload), /Still paused: the setting paused is true/);
  equal(await part.client.exists(key), 0);
  part.applyLive({ paused: false });
  await part.settled();
  equal(await part.client.hget(key, 'n'), '1');
});

test('KI-13: a pause by the method outlasts that the part is made anew for other settings', async (t) => {
  const first = await ingestPart(t, { kafka, redis });
  await first.start();
  equal((await first.call('Pause')).status, 200);
  await first.stop();
  const key = named(first, 'k');
  await kafka.produce(first.topic, [{ key, value: json({ n: 1 }) }]);
  const second = await ingestPart(t, { kafka, redis, like: first, shared: first.shared });
  await second.start();
  await second.until('the record is there to be applied', async () => (await second.status())['lag'] === 1);
  match(await second.text('paused'), /method Pause/);
  equal(await second.client.exists(key), 0);
  equal((await second.call('Resume')).status, 200);
  await second.settled();
  equal(await second.client.hget(key, 'n'), '1');
});

test('KI-13 KI-14: an index key that holds something else is named, and nothing is stored or put away meanwhile', async (t) => {
  const part = await ingestPart(t, { kafka, redis });
  const [key, indexKey] = [named(part, 'k'), named(part, 'index')];
  await part.client.set(indexKey, 'a string');
  part.applyLive({ indexKey });
  await kafka.produce(part.topic, [{ key, value: json({ n: 1 }) }]);
  await part.start();
  await part.until('the key is named', async () => (await part.text('problem')).includes(indexKey));
  equal(await part.client.exists(key), 0);
  equal((await part.status())['deadLettered'], 0);
  await part.client.del(indexKey);
  await part.settled();
  deepEqual(await part.client.smembers(indexKey), [key]);
});

test('KI-17 KI-18: above the high-water mark of its memory Redis is left alone until it is below the low one', async (t) => {
  const own = await startRedis(t, { args: ['--maxmemory', '32mb', '--maxmemory-policy', 'noeviction'] });
  const part = await ingestPart(t, {
    kafka,
    redis: own,
    settings: { memoryHighPercent: 60, memoryLowPercent: 50, changesLength: 0 },
  });
  await part.client.setrange('ballast', 20 * 1024 * 1024, 'x');
  await part.start();
  await part.until('the guard has closed', async () => (await part.text('paused')).includes('maxmemory'));
  await kafka.produce(part.topic, [{ key: 'k', value: json({ n: 1 }) }]);
  equal(await part.client.exists('k'), 0);
  await part.client.del('ballast');
  await part.settled();
  equal(await part.client.hget('k', 'n'), '1');
});

test('KI-8: a Redis cluster is refused with the reason', async (t) => {
  const cluster = await startRedis(t, { args: ['--cluster-enabled', 'yes'] });
  const part = await ingestPart(t, { kafka, redis: cluster });
  const error: unknown = await part.ingest
    .start(AbortSignal.timeout(5000))
    .catch((thrown: unknown) => thrown);
  match(String(error), /this Redis is a cluster/);
});

function fieldsOf(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.flatMap((name, at) => (at % 2 === 0 ? [[name, pairs[at + 1] ?? ''] as const] : [])),
  );
}
