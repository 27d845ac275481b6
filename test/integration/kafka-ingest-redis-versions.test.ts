import { deepEqual, equal } from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ingestPart } from '../helpers/ingest-part.ts';
import { startKafka } from '../helpers/kafka.ts';
import type { TestKafka, TestRecord } from '../helpers/kafka.ts';
import { findRedisVersions } from '../helpers/redis-versions.ts';
import { startRedis } from '../helpers/redis.ts';

let kafka: TestKafka;

before(async () => {
  kafka = await startKafka(undefined);
});
after(() => kafka.stop());

for (const program of await findRedisVersions()) {
  test(`KI-1 KI-14 KI-20 KI-23 KI-28: every kind of record takes effect as it should (${program.name})`, async (t) => {
    const redis = await startRedis(t, { program });
    const part = await ingestPart(t, {
      kafka,
      redis,
      settings: {
        indexKey: 'index',
        notify: 'json',
        suppressUnchanged: true,
        ttlField: 'ttl',
        channelTemplate: 'heard:{@redisKey}',
      },
    });
    await part.client.set('text', 'not a hash');
    const of = (key: string, value: unknown): TestRecord => ({ key, value: JSON.stringify(value) });
    await kafka.produce(part.topic, [
      of('a', { x: 1, y: 2 }),
      of('a', { x: 1, y: null }),
      of('a', { x: 1 }),
      of('text', { x: 1 }),
      of('b', { x: 1, ttl: 1000 }),
      { key: 'gone', value: null },
      of('gone', { x: 1 }),
      { key: 'gone', value: null },
      { key: 'a', value: 'no json' },
    ]);
    await part.start();
    await part.settled();
    part.applyLive({
      valueMode: 'hash-replace',
      indexKey: 'index',
      notify: 'json',
      channelTemplate: 'heard:{@redisKey}',
    });
    await kafka.produce(part.topic, [of('a', { z: 9 })]);
    await part.settled();
    deepEqual(await part.client.hgetall('a'), { z: '9' });
    deepEqual(await part.client.hgetall('b'), { x: '1', ttl: '1000' });
    const ttl = await part.client.ttl('b');
    equal(ttl > 900 && ttl <= 1000, true, String(ttl));
    equal(await part.client.get('text'), 'not a hash');
    deepEqual((await part.client.smembers('index')).sort(), ['a', 'b']);
    await part.until('all notices', () => part.heard.length >= 6);
    deepEqual(
      part.heard.map(({ channel, text }) => {
        const { op, ver, changed } = JSON.parse(text) as { op: string; ver: number; changed: string[] };
        return [channel, op, ver, changed.sort().join(' ')].join(' ');
      }),
      [
        'heard:a updated 0 x y',
        'heard:a updated 1 y',
        'heard:b updated 4 ttl x',
        'heard:gone updated 6 x',
        'heard:gone deleted 7 ',
        'heard:a updated 9 x z',
      ],
    );
    const letters = await part.client.xrange('dlq:kafka-ingest', '-', '+');
    deepEqual(
      letters.map(([, fields]) => fields[fields.indexOf('code') + 1]),
      ['WRONG_TYPE', 'BAD_JSON'],
    );
    await part.client.del('text');
    const replayed = await part.call('ReplayDeadLetters');
    deepEqual(replayed.payload, {
      Message: '1 dead letters took effect',
      Status: 200,
      replayed: 1,
      failed: 1,
      left: 0,
    });
    deepEqual(await part.client.hgetall('text'), { x: '1' });
    deepEqual(
      (await part.client.xrange(`changes:${part.topic}:0`, '-', '+')).map(([id]) => id),
      ['0-1', '1-1', '4-1', '6-1', '7-1', '9-1', '9-2'],
    );
  });

  test(`KI-2 KI-13: a full server takes nothing of a step, and all of it when there is room (${program.name})`, async (t) => {
    const redis = await startRedis(t, { program, args: ['--maxmemory-policy', 'noeviction'] });
    const part = await ingestPart(t, {
      kafka,
      redis,
      settings: { memoryHighPercent: 100, memoryLowPercent: 100 },
    });
    await part.start();
    await kafka.produce(part.topic, [{ key: 'k', value: '{"n":0}' }]);
    await part.settled();
    await part.client.config('SET', 'maxmemory', '1');
    await kafka.produce(part.topic, [
      { key: 'k', value: '{"n":1}' },
      { key: 'k', value: 'no json' },
      { key: 'k', value: '{"n":2}' },
    ]);
    await part.until(
      'it reports',
      async () => (await part.text('problem')).includes('memory') || part.ingest.pauses.size > 0,
    );
    equal((await part.position())['next'], '1');
    deepEqual(await part.client.hgetall('k'), { n: '0' });
    equal(await part.client.exists('dlq:kafka-ingest'), 0);
    await part.client.config('SET', 'maxmemory', '0');
    await part.settled();
    deepEqual(await part.client.hgetall('k'), { n: '2' });
    equal(await part.client.xlen('dlq:kafka-ingest'), 1);
  });
}
