import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { Redis } from 'ioredis';
import { createLog, RedisConnection, redisTarget } from '@iotedge-redis/common';
import { RedisSink } from '../../modules/kafka-ingest/src/apply/redis-sink.ts';
import { replayDeadLetters } from '../../modules/kafka-ingest/src/replay.ts';
import type { ReplayRequest, ReplayResult } from '../../modules/kafka-ingest/src/replay.ts';
import { shapeOf } from '../../modules/kafka-ingest/src/settings.ts';
import { ingestSettings } from '../helpers/ingest-part.ts';
import { startRedis } from '../helpers/redis.ts';

const LETTERS = 'dlq:kafka-ingest';

interface Bed {
  readonly client: Redis;
  readonly replay: (request?: Partial<ReplayRequest>) => Promise<ReplayResult>;
  /** Adds a dead letter as the module writes it. */
  readonly add: (fields: Readonly<Record<string, string>>) => Promise<void>;
}

async function bed(t: TestContext): Promise<Bed> {
  const redis = await startRedis(t);
  const client = new Redis({ port: redis.port, host: '127.0.0.1' });
  t.after(() => client.disconnect());
  const settings = ingestSettings({ redisHost: '127.0.0.1', redisPort: redis.port });
  const log = createLog({ level: 'fatal', write: () => undefined });
  const connection = new RedisConnection({ target: redisTarget(settings), name: 'replay', log });
  await connection.connect(AbortSignal.timeout(10_000));
  t.after(() => connection.close(AbortSignal.timeout(1000)));
  const sink = new RedisSink(connection, 1000);
  let offset = 0;
  return {
    client,
    replay: (request = {}) =>
      replayDeadLetters(connection, sink, shapeOf(settings), {
        limit: 100,
        topic: undefined,
        onlyIfAbsent: false,
        after: undefined,
        ...request,
      }),
    add: async (fields) => {
      offset += 1;
      const all = { topic: 't', partition: '0', offset: String(offset), timestamp: '1700', ...fields };
      await client.xadd(LETTERS, '*', ...Object.entries(all).flat());
    },
  };
}

test('KI-14: dead letters that fail again do not keep those behind them from being replayed', async (t) => {
  const { client, replay, add } = await bed(t);
  for (let n = 0; n < 40; n += 1) await add({ key: 'bad', value: 'no json' });
  await add({ key: 'good', value: '{"a":1}', topic: 'late' });
  const first = await replay({ limit: 40 });
  deepEqual({ ...first, continuation: '' }, { replayed: 0, failed: 40, left: 0, continuation: '' });
  ok(first.continuation !== undefined);
  deepEqual(await replay({ limit: 40, after: first.continuation }), { replayed: 1, failed: 0, left: 0 });
  deepEqual(await client.hgetall('good'), { a: '1' });
  equal(await client.xlen(LETTERS), 40, 'what failed again is kept');
});

test('KI-14: the dead letters of one topic are found wherever they stand in the stream', async (t) => {
  const { client, replay, add } = await bed(t);
  for (let n = 0; n < 150; n += 1)
    await add({ key: `k${n}`, value: '{"a":1}', topic: n === 149 ? 'wanted' : 'other' });
  deepEqual(await replay({ limit: 10, topic: 'wanted' }), { replayed: 1, failed: 0, left: 0 });
  deepEqual(await client.keys('k*'), ['k149']);
});

test('KI-14: entries of the dead-letter stream that the module did not write fail alone', async (t) => {
  const { client, replay, add } = await bed(t);
  await client.xadd(LETTERS, '*', 'anything', 'else');
  await add({ key: 'a', value: '{"a":1}', headers: 'no json' });
  await add({ key: 'b', value: '{"a":1}', headers: '{"x":{"y":1}}' });
  await add({ key: 'c', value: 'bytes of a batch', code: 'BAD_BATCH' });
  await add({ key: 'd', value: '{"a"', truncated: '900000' });
  await add({ key: 'e', value: '{"a":1}', headers: '{"x":["1",null]}' });
  deepEqual(await replay(), { replayed: 1, failed: 5, left: 0 });
  deepEqual(await client.keys('?'), ['e']);
  equal(await client.xlen(LETTERS), 5);
});

test('KI-14: onlyIfAbsent leaves a key alone that exists by now', async (t) => {
  const { client, replay, add } = await bed(t);
  await client.hset('k', 'a', 'newer');
  await add({ key: 'k', value: '{"a":"older"}' });
  deepEqual(await replay({ onlyIfAbsent: true }), { replayed: 0, failed: 0, left: 1 });
  equal(await client.hget('k', 'a'), 'newer');
  deepEqual(await replay(), { replayed: 1, failed: 0, left: 0 });
  equal(await client.hget('k', 'a'), 'older');
});
