import { deepEqual, equal } from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { JsonObject } from '@iotedge-redis/common';
import { ingestPart } from '../helpers/ingest-part.ts';
import { startKafka } from '../helpers/kafka.ts';
import type { TestKafka } from '../helpers/kafka.ts';
import { startRedis } from '../helpers/redis.ts';
import type { TestRedis } from '../helpers/redis.ts';

// What the settings of the other tests leave out of the scripts, so that the ACL list is held to all of them.
let kafka: TestKafka;
let redis: TestRedis;

before(async () => {
  [kafka, redis] = await Promise.all([startKafka(undefined), startRedis(undefined)]);
});
after(async () => {
  await Promise.all([kafka.stop(), redis.stop()]);
});

const json = JSON.stringify;

test('KI-20 KI-28: a hash that is replaced by the same fields is not told of, one with other fields is', async (t) => {
  const settings = { valueMode: 'hash-replace', suppressUnchanged: true } as const;
  const part = await ingestPart(t, { kafka, redis, settings });
  const key = `${part.topic}:k`;
  await part.start();
  await kafka.produce(part.topic, [
    { key, value: json({ a: 1, b: 2 }) },
    { key, value: json({ b: 2, a: 1 }) },
    { key, value: json({ a: 1 }) },
  ]);
  await part.settled();
  deepEqual(await part.client.hgetall(key), { a: '1' });
  equal(await part.client.xlen(`changes:${part.topic}:0`), 2);
});

test('KI-22 KI-41: a tombstone takes its key out of the index', async (t) => {
  const part = await ingestPart(t, { kafka, redis, settings: { indexKey: 'index:commands' } });
  const [one, two] = [`${part.topic}:1`, `${part.topic}:2`];
  await part.start();
  await kafka.produce(part.topic, [
    { key: one, value: json({ a: 1 }) },
    { key: two, value: json({ a: 1 }) },
    { key: one, value: null },
  ]);
  await part.settled();
  deepEqual(await part.client.smembers('index:commands'), [two]);
});

test('KI-14: a replay that is to leave newer keys alone leaves them, and their dead letters', async (t) => {
  const part = await ingestPart(t, { kafka, redis });
  const key = `${part.topic}:k`;
  await part.client.set(key, 'a string');
  await kafka.produce(part.topic, [{ key, value: json({ a: 1 }) }]);
  await part.start();
  await part.settled();
  const { payload } = await part.call('ReplayDeadLetters', { topic: part.topic, onlyIfAbsent: true });
  const { replayed, left } = payload as JsonObject;
  deepEqual([replayed, left], [0, 1]);
  equal(await part.client.get(key), 'a string');
});
