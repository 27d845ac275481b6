import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Redis } from 'ioredis';
import { startAzurite } from '../helpers/azurite.ts';
import { startFaultProxy } from '../helpers/fault-proxy.ts';
import { startRedis } from '../helpers/redis.ts';
import { startSync } from '../helpers/sync-bed.ts';

test('RS-25 an import that Sync asked for and a refused SAS kept from beginning begins with the new SAS', async (t) => {
  const [azurite, redis] = await Promise.all([startAzurite(t), startRedis(t)]);
  const client = new Redis(redis.port, '127.0.0.1');
  t.after(() => client.disconnect());
  await azurite.upload('update.csv', 'a:1\n');
  const bed = await startSync(t, { azurite, redis });
  await bed.until('done');
  await client.set('a', 'by hand');
  bed.applyLive({ blobSasToken: azurite.sas({ expiresOn: new Date(Date.now() - 60_000) }) });
  assert.equal((await bed.call('Sync')).status, 202);
  await bed.until('failed');
  bed.applyLive({ blobSasToken: azurite.sas() });
  await bed.until('done');
  assert.equal(await client.get('a'), '1');
});

test('RS-25 a Redis that comes back without the mark of the last import gets the file again, with the mark it does not', async (t) => {
  const [azurite, redis] = await Promise.all([startAzurite(t), startRedis(t)]);
  const client = new Redis(redis.port, '127.0.0.1');
  t.after(() => client.disconnect());
  await azurite.upload('update.csv', 'a:1\n');
  const bed = await startSync(t, { azurite, redis });
  await bed.until('done');
  const cut = (): Promise<unknown> => client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  const connections = (): number => bed.lines.filter((line) => line.includes('connected to Redis')).length;
  const starts = (): number => bed.lines.filter((line) => line.includes('import starts')).length;
  await client.set('a', 'by hand');
  await cut();
  await bed.until(() => connections() === 2);
  await bed.until('done');
  await client.flushall();
  await cut();
  await bed.until((status) => starts() === 2 && status['state'] === 'done');
  assert.equal(await client.get('a'), '1');
  assert.equal(starts(), 2);
});

test('CancelSync before the run has begun ends that run only, and leaves what Redis says of the one before', async (t) => {
  const [azurite, redis] = await Promise.all([startAzurite(t), startRedis(t)]);
  const client = new Redis(redis.port, '127.0.0.1');
  t.after(() => client.disconnect());
  const proxy = await startFaultProxy(t, azurite);
  await azurite.upload('update.csv', 'a:1\nb\n');
  const settings = {
    blobEndpoint: azurite.endpointAt(proxy.port),
    csvDelimiter: 'colon',
    errorMode: 'abort',
    stallTimeoutMs: 60_000,
  } as const;
  const bed = await startSync(t, { azurite, redis, settings });
  const failed = await bed.until('failed');
  const [key = ''] = await client.keys('*:checkpoint');
  const mark = await client.get(key);
  proxy.set({ kind: 'stall', afterBytes: 0 });
  assert.equal((await bed.call('Sync')).status, 202);
  await bed.until('checking');
  assert.equal((await bed.call('CancelSync')).status, 200);
  const cancelled = await bed.until('cancelled');
  assert.partialDeepStrictEqual(cancelled, { code: 'CANCELLED', ac: 409 });
  assert.match(cancelled['message'] as string, /before it began/);
  assert.equal(await client.get(key), mark);
  await bed.stop();
  proxy.set({ kind: 'none' });
  const restarted = await startSync(t, { azurite, redis, settings });
  assert.equal((await restarted.until('failed'))['code'], failed['code']);
  assert.equal(await client.get(key), mark);
});

test('CancelSync while a run that is to go on still looks for its blob holds over a restart', async (t) => {
  const [azurite, redis] = await Promise.all([startAzurite(t), startRedis(t)]);
  const proxy = await startFaultProxy(t, azurite);
  await azurite.upload('update.csv', Array.from({ length: 2000 }, (_, at) => `k${at}:v\n`).join(''));
  const settings = {
    blobEndpoint: azurite.endpointAt(proxy.port),
    batchRows: 10,
    maxRowsPerSecond: 200,
    stallTimeoutMs: 60_000,
  };
  const first = await startSync(t, { azurite, redis, settings });
  await first.until(({ written }) => Number(written) > 0);
  await first.stop();
  proxy.set({ kind: 'stall', afterBytes: 0 });
  const second = await startSync(t, { azurite, redis, settings });
  await second.until('checking');
  assert.equal((await second.call('CancelSync')).status, 200);
  await second.until('cancelled');
  await second.stop();
  proxy.set({ kind: 'none' });
  const third = await startSync(t, { azurite, redis, settings });
  await third.until('cancelled');
  assert.equal((await third.call('Sync')).status, 202);
  const { written } = await third.until('running');
  assert.ok(Number(written) > 0 && Number(written) < 2000);
});
