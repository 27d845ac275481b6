import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { createLog } from '@iotedge-redis/common';
import { BlobSync } from '../../modules/redis-sync/src/sync.ts';
import { CONTAINER, startAzurite } from '../helpers/azurite.ts';
import type { TestAzurite } from '../helpers/azurite.ts';
import { startFaultProxy } from '../helpers/fault-proxy.ts';
import { startRedis } from '../helpers/redis.ts';
import type { TestRedis } from '../helpers/redis.ts';
import { startSync, syncSettings } from '../helpers/sync-bed.ts';

const ROWS = 150_000;
/** About 6 MB: three ranges. */
const file = (mark: string): Buffer =>
  Buffer.from(
    Array.from(
      { length: ROWS },
      (_, index) => `key${index}:${mark}-${String(index).padStart(24, '.')}\n`,
    ).join(''),
  );

let azurite: TestAzurite;
const content = file('first');

before(async () => {
  azurite = await startAzurite();
  await azurite.upload('big.csv', content);
});
after(() => azurite.stop());

const connect = (t: { after(fn: () => void): void }, redis: TestRedis): Redis => {
  const client = new Redis(redis.port, '127.0.0.1', { retryStrategy: () => 50, maxRetriesPerRequest: null });
  client.on('error', () => undefined);
  t.after(() => client.disconnect());
  return client;
};

/** The end state of a clean run: every row, nothing else but the module's own key. */
async function assertWhole(client: Redis, mark = 'first'): Promise<void> {
  assert.equal(await client.dbsize(), ROWS + 1);
  for (let from = 0; from < ROWS; from += 10_000) {
    const indexes = Array.from({ length: 10_000 }, (_, offset) => from + offset);
    const values = await client.mget(indexes.map((index) => `key${index}`));
    const wrong = values.findIndex(
      (value, at) => value !== `${mark}-${String(indexes[at]).padStart(24, '.')}`,
    );
    assert.equal(wrong, -1);
  }
}

const links = [
  ['is cut at a byte', { kind: 'cut', afterBytes: 3_456_789 }],
  ['ends at a byte', { kind: 'end', afterBytes: 3_456_789 }],
  ['is cut in the first headers', { kind: 'cut', afterBytes: 100 }],
  ['stalls', { kind: 'stall', afterBytes: 2_345_678 }],
  ['changes a byte', { kind: 'flip', afterBytes: 3_000_000 }],
] as const;
for (const [what, fault] of links) {
  test(`RS-14 RS-15 a link that ${what} costs less than a range, and no row`, async (t) => {
    const redis = await startRedis(t);
    const client = connect(t, redis);
    const proxy = await startFaultProxy(t, azurite);
    proxy.set(fault);
    const bed = await startSync(t, {
      azurite,
      redis,
      blob: 'big.csv',
      settings: { blobEndpoint: azurite.endpointAt(proxy.port), stallTimeoutMs: 500 },
    });
    const status = await bed.until('done');
    assert.equal(status['written'], ROWS);
    await assertWhole(client);
    assert.ok(proxy.passedBytes < content.length + 2.2 * 1024 * 1024, String(proxy.passedBytes));
    // What has arrived is not fetched again.
    if (fault.kind === 'end')
      assert.ok(proxy.passedBytes < content.length + 50_000, String(proxy.passedBytes - content.length));
  });
}

test('a link that slows to a trickle is used for what it is worth, and recovers', async (t) => {
  const redis = await startRedis(t);
  const client = connect(t, redis);
  const proxy = await startFaultProxy(t, azurite);
  proxy.set({ kind: 'trickle', bytesPerSecond: 20_000 });
  const bed = await startSync(t, {
    azurite,
    redis,
    blob: 'big.csv',
    settings: { blobEndpoint: azurite.endpointAt(proxy.port), stallTimeoutMs: 500 },
  });
  await sleep(2500);
  const before = proxy.passedBytes;
  assert.ok(before > 10_000 && before < 200_000, String(before));
  proxy.set({ kind: 'none' });
  await bed.until('done');
  await assertWhole(client);
  assert.ok(proxy.passedBytes < content.length + 200_000);
});

test('RS-13 RS-20 a blob replaced during the download: the run starts again with the new one, and says so', async (t) => {
  const redis = await startRedis(t);
  const client = connect(t, redis);
  const proxy = await startFaultProxy(t, azurite);
  proxy.set({ kind: 'trickle', bytesPerSecond: 2_000_000 });
  await azurite.upload('replaced.csv', content);
  const bed = await startSync(t, {
    azurite,
    redis,
    blob: 'replaced.csv',
    settings: { blobEndpoint: azurite.endpointAt(proxy.port) },
  });
  await bed.until(({ written }) => Number(written) > 1000);
  const etag = await azurite.upload('replaced.csv', file('second'));
  proxy.set({ kind: 'none' });
  const status = await bed.until('done');
  assert.equal(status['etag'], etag);
  await assertWhole(client, 'second');
  assert.ok(bed.lines.some((line) => line.includes('the blob was replaced during the import')));
});

test('the SAS is rotated in the middle of a run: it goes on with the new one', async (t) => {
  const redis = await startRedis(t);
  const client = connect(t, redis);
  const proxy = await startFaultProxy(t, azurite);
  proxy.set({ kind: 'trickle', bytesPerSecond: 1_500_000 });
  const bed = await startSync(t, {
    azurite,
    redis,
    blob: 'big.csv',
    settings: {
      blobEndpoint: azurite.endpointAt(proxy.port),
      blobSasToken: azurite.sas({ expiresOn: new Date(Date.now() + 3000) }),
    },
  });
  await bed.until(({ written }) => Number(written) > 1000);
  const { startedAt } = await bed.status();
  bed.applyLive({ blobSasToken: azurite.sas() });
  const status = await bed.until('done');
  assert.equal(status['startedAt'], startedAt);
  await assertWhole(client);
});

test('the SAS expires in the middle of a run: it ends, and goes on where it was with a new one', async (t) => {
  const redis = await startRedis(t);
  const client = connect(t, redis);
  const proxy = await startFaultProxy(t, azurite);
  proxy.set({ kind: 'trickle', bytesPerSecond: 1_000_000 });
  const bed = await startSync(t, {
    azurite,
    redis,
    blob: 'big.csv',
    settings: {
      blobEndpoint: azurite.endpointAt(proxy.port),
      blobSasToken: azurite.sas({ expiresOn: new Date(Date.now() + 2500) }),
    },
  });
  const failed = await bed.until('failed');
  assert.equal(failed['code'], 'SAS_EXPIRED');
  assert.ok(Number(failed['written']) > 0);
  proxy.set({ kind: 'none' });
  const before = proxy.passedBytes;
  bed.applyLive({ blobSasToken: azurite.sas() });
  const status = await bed.until('done');
  assert.ok(Number(status['resumes']) > 0);
  assert.ok(proxy.passedBytes - before < content.length - Number(failed['bytes']) + 100_000);
  await assertWhole(client);
});

test('RS-19 Redis restarts without its data: the run starts over by itself', async (t) => {
  const redis = await startRedis(t);
  const client = connect(t, redis);
  const bed = await startSync(t, {
    azurite,
    redis,
    blob: 'big.csv',
    settings: { maxRowsPerSecond: 100_000 },
  });
  await bed.until(({ written }) => Number(written) > 20_000);
  await redis.kill('SIGKILL');
  await bed.until('waiting');
  await redis.restart();
  bed.applyLive({ maxRowsPerSecond: 0 });
  await bed.until('done');
  await assertWhole(client);
});

test('RS-19 Redis restarts with its data: the run goes on where it was', async (t) => {
  const redis = await startRedis(t, { args: ['--appendonly', 'yes', '--appendfsync', 'always'] });
  const client = connect(t, redis);
  const proxy = await startFaultProxy(t, azurite);
  const settings = { maxRowsPerSecond: 100_000, blobEndpoint: azurite.endpointAt(proxy.port) };
  const bed = await startSync(t, { azurite, redis, blob: 'big.csv', settings });
  await bed.until(({ written }) => Number(written) > 20_000);
  const { startedAt } = await bed.status();
  await redis.kill('SIGKILL');
  await bed.until('waiting');
  await redis.restart();
  bed.applyLive({ maxRowsPerSecond: 0, blobEndpoint: settings.blobEndpoint });
  const status = await bed.until('done');
  assert.equal(status['startedAt'], startedAt);
  assert.ok(proxy.passedBytes < content.length + 100_000);
  await assertWhole(client);
});

test('RS-19 Redis is emptied in the middle of the run: the run starts over, and no row is missing', async (t) => {
  const redis = await startRedis(t);
  const client = connect(t, redis);
  const bed = await startSync(t, {
    azurite,
    redis,
    blob: 'big.csv',
    settings: { maxRowsPerSecond: 100_000 },
  });
  await bed.until(({ written }) => Number(written) > 20_000);
  await client.flushall();
  bed.applyLive({ maxRowsPerSecond: 0 });
  await bed.until('done');
  await assertWhole(client);
});

test('RS-19 an emptied Redis is noticed at the next step, on the same connection', async (t) => {
  const redis = await startRedis(t);
  const client = connect(t, redis);
  // A step every 20 ms, so that each is settled long before the next one.
  const settings = { batchRows: 100, maxRowsPerSecond: 5000 };
  const bed = await startSync(t, { azurite, redis, blob: 'big.csv', settings });
  await bed.until(({ written }) => Number(written) >= 1000);
  const [key = ''] = await client.keys('*:checkpoint');
  const replies = await client.multi().get(key).flushall().exec();
  const { rows } = JSON.parse(String(replies?.[0]?.[1])) as { rows: number };
  await bed.until(() => bed.lines.some((line) => line.includes('Redis lost what this run had written')));
  const line = bed.lines.find((text) => text.includes('Redis lost')) ?? '';
  // Nothing was added to the rows that Redis held at that moment.
  assert.equal(/"row":(\d+)/.exec(line)?.[1], String(rows), line);
  assert.equal(bed.lines.filter((text) => text.includes('connected to Redis')).length, 1);
  bed.applyLive({ maxRowsPerSecond: 0 });
  await bed.until('done');
  await assertWhole(client);
});

test('RS-38 a full Redis is waited for, and the run goes on when there is room', async (t) => {
  const redis = await startRedis(t, { args: ['--maxmemory', '12mb'] });
  const client = connect(t, redis);
  const bed = await startSync(t, { azurite, redis, blob: 'big.csv', settings: { maxMemoryPercent: 100 } });
  const waiting = await bed.until(({ code }) => code === 'REDIS_OOM' || code === 'REDIS_MEMORY');
  const { startedAt } = waiting;
  await client.config('SET', 'maxmemory', '0');
  const status = await bed.until('done');
  assert.equal(status['startedAt'], startedAt);
  await assertWhole(client);
});

test('AM-4 RS-38 a command does not wait for ever for room in Redis: it ends with the reason', async (t) => {
  const redis = await startRedis(t, { args: ['--maxmemory', '1mb', '--maxmemory-policy', 'noeviction'] });
  const settings = syncSettings({
    endpoint: `127.0.0.1:${redis.port}`,
    blobEndpoint: azurite.endpoint,
    blobContainerName: CONTAINER,
    blobFileName: 'big.csv',
    blobSasToken: azurite.sas(),
    maxMemoryPercent: 1,
  });
  const log = createLog({ level: 'error', write: () => undefined });
  const context = { instance: 'command', log, settingsVersion: () => 1, report: () => undefined };
  const sync = new BlobSync(settings, context, { giveUpAfterMs: 1500 });
  const { isDone, result } = await sync.once('resume', AbortSignal.timeout(20_000));
  assert.equal(isDone, false);
  assert.partialDeepStrictEqual(result, { state: 'failed', code: 'REDIS_MEMORY', ac: 503, written: 0 });
  assert.match(result['message'] as string, /more than 1 % of its maxmemory.*given up after 2 s/);
});

test('a read-only Redis is waited for', async (t) => {
  const redis = await startRedis(t);
  const client = connect(t, redis);
  const primary = await startRedis(t);
  await client.replicaof('127.0.0.1', primary.port);
  const bed = await startSync(t, { azurite, redis, blob: 'big.csv' });
  await bed.until((status) => status['code'] === 'REDIS_READONLY');
  await client.replicaof('NO', 'ONE');
  await bed.until('done');
  await assertWhole(client);
});

test('a loading Redis is waited for, and the run goes on when it has loaded', async (t) => {
  const args = ['--dbfilename', 'dump.rdb'];
  const redis = await startRedis(t, { args });
  const client = connect(t, redis);
  const settings = { maxRowsPerSecond: 100_000 };
  const bed = await startSync(t, { azurite, redis, blob: 'big.csv', settings });
  await bed.until(({ written }) => Number(written) > 20_000);
  await client.save();
  await redis.kill('SIGKILL');
  // 20,000 keys of which each takes 0.1 ms longer.
  const slow = ['--key-load-delay', '100', '--loading-process-events-interval-bytes', '1024'];
  await redis.restart([...args, ...slow]);
  await bed.until(({ code }) => code === 'REDIS_LOADING');
  bed.applyLive({ maxRowsPerSecond: 0 });
  await bed.until('done', 60_000);
  await assertWhole(client);
});

test('RS-41 rows that the ACL forbids are bad rows, and the others are written', async (t) => {
  const redis = await startRedis(t);
  const client = connect(t, redis);
  await client.call('ACL', 'SETUSER', 'importer', 'on', '>pw', '~a*', '~iotedge-redis:*', '+@all');
  await azurite.upload('acl.csv', 'a1:1\nb1:2\na2:3\n');
  const bed = await startSync(t, {
    azurite,
    redis,
    blob: 'acl.csv',
    settings: { redisUsername: 'importer', redisPassword: 'pw' },
  });
  const { written, skipped, errors } = await bed.until('done');
  assert.deepEqual([written, skipped], [2, 1]);
  assert.deepEqual(errors, [{ row: 2, reason: 'Redis refused the row (REDIS_DENIED)' }]);
  assert.equal(await client.get('a2'), '3');
});
