import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { Redis } from 'ioredis';
import { RedisConnection, createLog, redisTarget, viewOf } from '@iotedge-redis/common';
import { CheckpointLost, RedisSink } from '../../modules/redis-sync/src/run/redis-sink.ts';
import { SLACK_BYTES } from '../../modules/redis-sync/src/csv/record-fields.ts';
import type { Step } from '../../modules/redis-sync/src/run/redis-sink.ts';
import { RowList } from '../../modules/redis-sync/src/rows/row-list.ts';
import { startAzurite } from '../helpers/azurite.ts';
import { startRedis } from '../helpers/redis.ts';
import { startSync, syncSettings } from '../helpers/sync-bed.ts';

const KEY = 'checkpoint';

async function startSink(t: TestContext): Promise<{ sink: RedisSink; client: Redis }> {
  const redis = await startRedis(t);
  const client = new Redis(redis.port, '127.0.0.1');
  const target = redisTarget(syncSettings({ endpoint: `127.0.0.1:${redis.port}` }));
  const log = createLog({ level: 'error', write: () => undefined });
  const connection = new RedisConnection({ target, name: 'test', log });
  t.after(async () => {
    client.disconnect();
    await connection.close(AbortSignal.timeout(1000));
  });
  await connection.connect();
  return { sink: new RedisSink(connection, KEY, false, 5000), client };
}

function stepOf(value: string, before: string, after: string): Step {
  const rows = new RowList();
  const bytes = Buffer.from(`k:${value}`);
  const data = Buffer.concat([bytes, Buffer.alloc(SLACK_BYTES)]);
  rows.addPlain(viewOf(data), 0, 1, bytes.length, 1);
  return { rows, startedAt: 0, before, after, extras: [] };
}

test('RS-19 a step takes place only on the checkpoint that it builds on, with its rows or not at all', async (t) => {
  const { sink, client } = await startSink(t);
  await sink.begin('a');
  assert.deepEqual(await sink.write(stepOf('1', 'a', 'b'), []), []);
  assert.ok(sink.canAttempt);
  // Sent ahead in one go: the second builds on the first, the third on a checkpoint that Redis never holds.
  const outcomes = await Promise.all([
    sink.attempt(stepOf('2', 'b', 'c')),
    sink.attempt(stepOf('3', 'c', 'd')),
    sink.attempt(stepOf('never', 'x', 'y')),
  ]);
  assert.deepEqual(outcomes, ['applied', 'applied', 'open']);
  assert.deepEqual(await client.mget('k', KEY), ['3', 'd']);
});

test('RS-19 a step that comes twice, or late, changes nothing', async (t) => {
  const { sink, client } = await startSink(t);
  await sink.begin('a');
  const first = stepOf('1', 'a', 'b');
  await sink.write(first, []);
  await sink.write(stepOf('2', 'b', 'c'), []);
  assert.equal(await sink.attempt(first), 'open');
  assert.deepEqual(await client.mget('k', KEY), ['2', 'c']);
  // Asked what became of it, it knows that a later one is there.
  assert.deepEqual(await sink.write(first, ['c']), []);
  assert.deepEqual(await client.mget('k', KEY), ['2', 'c']);
  assert.equal(await client.ttl(KEY), -1);
});

test('RS-19 no step takes place on a Redis that was emptied, or that another run has written to', async (t) => {
  const { sink, client } = await startSink(t);
  await sink.begin('a');
  await sink.write(stepOf('1', 'a', 'b'), []);
  await client.flushall();
  assert.equal(await sink.attempt(stepOf('2', 'b', 'c')), 'open');
  await assert.rejects(sink.write(stepOf('2', 'b', 'c'), []), CheckpointLost);
  assert.equal(await client.dbsize(), 0);
  await client.set(KEY, 'of another run');
  assert.equal(await sink.attempt(stepOf('2', 'b', 'c')), 'open');
  assert.deepEqual(await client.mget('k', KEY), [null, 'of another run']);
});

test('RS-19 a step whose guard does not run moves no checkpoint', async (t) => {
  const { sink, client } = await startSink(t);
  await sink.begin('a');
  await sink.write(stepOf('1', 'a', 'b'), []);
  await client.call('ACL', 'SETUSER', 'default', '-eval');
  await sink.attempt(stepOf('never', 'x', 'y'));
  assert.deepEqual(await client.mget('k', KEY), ['1', 'b']);
  // Row by row it comes in all the same.
  assert.deepEqual(await sink.write(stepOf('2', 'b', 'c'), []), []);
  assert.deepEqual(await client.mget('k', KEY), ['2', 'c']);
});

test('RS-19 a refused step is not written again to a Redis that was emptied meanwhile', async (t) => {
  const { sink, client } = await startSink(t);
  await sink.begin('a');
  await sink.write(stepOf('1', 'a', 'b'), []);
  await client.flushall();
  await assert.rejects(sink.writeApart(stepOf('2', 'b', 'c'), []), CheckpointLost);
  assert.equal(await client.dbsize(), 0);
});

test('RS-19 a refused step goes back behind the steps that Redis took after it', async (t) => {
  const { sink, client } = await startSink(t);
  await sink.begin('a');
  const refused = stepOf('1', 'a', 'b');
  await sink.write(stepOf('2', 'a', 'c'), []);
  assert.deepEqual(await sink.writeApart(refused, ['c']), []);
  assert.deepEqual(await client.mget('k', KEY), ['1', 'b']);
});

test('RS-17 rows that Redis refuses in the middle of a run leave the order of all others as it is', async (t) => {
  const [azurite, redis] = await Promise.all([startAzurite(t), startRedis(t)]);
  const client = new Redis(redis.port, '127.0.0.1');
  t.after(() => client.disconnect());
  await client.call('ACL', 'SETUSER', 'importer', 'on', '>pw', '~a*', '~iotedge-redis:*', '+@all');
  // Every batch of ten sets `a` anew, and some hold a key that the user may not touch.
  const lines = Array.from({ length: 2000 }, (_, index) =>
    index % 10 === 9 ? `a:${index}` : index % 170 === 33 ? `forbidden${index}:x` : `a${index}:${index}`,
  );
  const forbidden = lines.filter((line) => line.startsWith('forbidden')).length;
  await azurite.upload('order.csv', lines.join('\n'));
  const bed = await startSync(t, {
    azurite,
    redis,
    blob: 'order.csv',
    settings: { redisUsername: 'importer', redisPassword: 'pw', batchRows: 10 },
  });
  const status = await bed.until('done', 60_000);
  assert.partialDeepStrictEqual(status, { rows: 2000, written: 2000 - forbidden, skipped: forbidden });
  assert.equal(await client.get('a'), '1999');
  assert.equal(await client.get('a1998'), '1998');
});

test('a user whose ACL permits no scripts and no transactions imports all the same', async (t) => {
  const [azurite, redis] = await Promise.all([startAzurite(t), startRedis(t)]);
  const client = new Redis(redis.port, '127.0.0.1');
  t.after(() => client.disconnect());
  await client.call('ACL', 'SETUSER', 'plain', 'on', '>pw', '~*', '+@all', '-eval', '-multi', '-watch');
  await azurite.upload(
    'plain.csv',
    Array.from({ length: 500 }, (_, index) => `k${index}:v${index}\n`).join(''),
  );
  const bed = await startSync(t, {
    azurite,
    redis,
    blob: 'plain.csv',
    settings: { redisUsername: 'plain', redisPassword: 'pw', batchRows: 50 },
  });
  assert.partialDeepStrictEqual(await bed.until('done', 60_000), { written: 500, skipped: 0 });
  assert.equal(await client.get('k499'), 'v499');
});

test('RD-6 the Redis user of the deployment may do all that an import and its mirror need', async (t) => {
  const [azurite, redis] = await Promise.all([startAzurite(t), startRedis(t)]);
  const client = new Redis(redis.port, '127.0.0.1');
  t.after(() => client.disconnect());
  const template = await readFile(new URL('../../deployment.template.json', import.meta.url), 'utf8');
  const may = /"ACL_REDIS_SYNC": \{\s*"value": "([^"]+)"/.exec(template)?.[1] ?? '';
  await client.call('ACL', 'SETUSER', 'redis-sync', 'on', '>pw', ...may.split(' '));
  const settings = {
    redisUsername: 'redis-sync',
    redisPassword: 'pw',
    mode: 'mirror',
    maxDeletePercent: 100,
  } as const;
  const header = 'key,value,ttl,type,op\n';
  const all = `${header}a,1,,,\nb,2,60,,\nh,"{""x"":1}",60,hash,\nj,1,,json,\nc,,,,del\n`;
  for (const content of [all, `${header}a,2,,,\n`]) {
    await azurite.upload('user.csv', content);
    const bed = await startSync(t, { azurite, redis, blob: 'user.csv', settings });
    assert.partialDeepStrictEqual(await bed.until('done', 60_000), { skipped: 0, ac: 200 });
    await bed.stop();
  }
  assert.deepEqual([await client.get('a'), await client.exists('b', 'h', 'j')], ['2', 0]);
  const refused = (await client.call('ACL', 'LOG')) as unknown[];
  // The library's name for the connection is a nicety that no user of the deployment may set.
  assert.deepEqual(
    refused.filter((entry) => !JSON.stringify(entry).includes('client|setname')),
    [],
  );
});
