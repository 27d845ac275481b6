import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { TestContext } from 'node:test';
import type { JsonObject } from '@iotedge-redis/common';
import { Redis } from 'ioredis';
import type { Manifest } from '../../modules/redis-snapshot/src/storage/manifest.ts';
import { startAzurite } from '../helpers/azurite.ts';
import type { TestAzurite } from '../helpers/azurite.ts';
import { startFaultProxy } from '../helpers/fault-proxy.ts';
import { dumpAll, fillBulk, fillMixed } from '../helpers/mixed-data.ts';
import { freePort, startRedis } from '../helpers/redis.ts';
import { startSentinel } from '../helpers/sentinel.ts';
import { checkRdb, startRedisFrom, startSnapshot, tempDir } from '../helpers/snapshot-bed.ts';

const storage = await startAzurite();
after(() => storage.stop());
let containers = 0;

/** A container of the test's own. */
function freshContainer(): Promise<TestAzurite> {
  return storage.createContainer(`test-${(containers += 1)}`);
}

/** The snapshot's name of a result. */
function nameOf(result: JsonObject): string {
  const { snapshot } = result;
  if (typeof snapshot !== 'string') throw new Error(`no snapshot in ${JSON.stringify(result)}`);
  return snapshot;
}

function connect(t: TestContext, port: number): Redis {
  const client = new Redis(port, '127.0.0.1');
  client.on('error', () => undefined);
  t.after(() => client.disconnect());
  return client;
}

async function manifestOf(azurite: TestAzurite, result: JsonObject): Promise<Manifest> {
  const content = await azurite.download(`snapshots/${nameOf(result)}.manifest.json`);
  return JSON.parse(content.toString()) as Manifest;
}

for (const diskless of ['yes', 'no']) {
  for (const exportSpool of ['volume', 'none'] as const) {
    test(`SN-1 SN-2 SN-3 an export (diskless ${diskless}, spool ${exportSpool}) is a file that redis-check-rdb finds good and a server loads, every key alike`, async (t) => {
      const [azurite, redis] = await Promise.all([
        freshContainer(),
        startRedis(t, { args: ['--repl-diskless-sync', diskless] }),
      ]);
      const keys = await fillMixed(redis.port);
      await fillBulk(redis.port, 2000, 5000);
      const stateDir = await tempDir(t);
      const bed = await startSnapshot(t, { azurite, redis, stateDir, settings: { exportSpool } });
      const result = await bed.run('Export');
      const manifest = await manifestOf(azurite, result);
      const [part] = manifest.parts;
      const blob = await azurite.download(part?.blob ?? '');
      assert.match(await checkRdb(t, blob), /RDB looks OK/);
      const loaded = await startRedisFrom(t, blob);
      assert.deepEqual(await dumpAll(loaded.port), await dumpAll(redis.port));
      assert.equal(manifest.keys, keys + 2000);
      assert.deepEqual(part?.keys, { '0': 2015, '1': 15, '15': 15 });
      assert.equal(part.functions, 1);
      assert.equal(part.bytes, blob.length);
      assert.equal(part.sha256, createHash('sha256').update(blob).digest('hex'));
      assert.equal(part.isChecksummed, true);
      assert.equal(manifest.pointInTime, true);
      assert.equal(typeof part.forkSeconds, 'number');
      assert.equal(typeof part.copyOnWriteBytes, 'number');
      assert.equal((await azurite.names()).length, 2);
      const left = await readdir(join(stateDir, 'spool-snapshot-test')).catch(() => []);
      assert.deepEqual(left, [], 'SN-4 the spool file is removed when done');
      const delay = await connect(t, redis.port).config('GET', 'repl-diskless-sync-delay');
      assert.deepEqual(delay, ['repl-diskless-sync-delay', '5'], "the server's delay is as it was");
    });
  }
}

test('SN-5 where SYNC is forbidden the keys are scanned: loaded by a server, every key alike, and said to be of no point in time', async (t) => {
  const [azurite, redis] = await Promise.all([freshContainer(), startRedis(t)]);
  const keys = await fillMixed(redis.port);
  await connect(t, redis.port).call('ACL', [
    ...['SETUSER', 'reader', 'on', '>secret', '~*', 'resetchannels'],
    ...['+@read', '+select', '+info', '+time', '+ping', '+function|dump', '-sync', '-psync', '-replconf'],
  ]);
  const bed = await startSnapshot(t, {
    ...{ azurite, redis, stateDir: await tempDir(t) },
    settings: {
      redisUsername: 'reader',
      redisPassword: 'secret',
      endpoint: undefined,
      redisHost: '127.0.0.1',
      redisPort: redis.port,
    },
  });
  const result = await bed.run('Export');
  const manifest = await manifestOf(azurite, result);
  assert.deepEqual([manifest.method, manifest.pointInTime, manifest.keys], ['scan', false, keys]);
  assert.equal(manifest.parts[0]?.functions, 1);
  const blob = await azurite.download(manifest.parts[0].blob);
  assert.match(await checkRdb(t, blob), /RDB looks OK/);
  const loaded = await startRedisFrom(t, blob);
  const [found, wanted] = [await dumpAll(loaded.port), await dumpAll(redis.port)];
  assert.deepEqual([...found.keys()].sort(), [...wanted.keys()].sort());
  for (const [key, value] of wanted) {
    const [dump, expiry] = value.split(' ');
    const [foundDump, foundExpiry] = found.get(key)?.split(' ') ?? [];
    assert.equal(foundDump, dump, key);
    assert.ok(Math.abs(Number(foundExpiry) - Number(expiry)) < 1000, key);
  }
});

test('an empty Redis is exported, by SYNC and by SCAN, and a server loads it', async (t) => {
  const [azurite, redis] = await Promise.all([freshContainer(), startRedis(t)]);
  for (const exportMethod of ['sync', 'scan'] as const) {
    const bed = await startSnapshot(t, { azurite, redis, settings: { exportMethod } });
    const result = await bed.run('Export');
    // Without a volume the runs are kept in Redis, which is a key of its own.
    assert.equal(result['keys'], 1);
    await bed.stop();
    const blob = await azurite.download(`snapshots/${nameOf(result)}.rdb`);
    const loaded = await startRedisFrom(t, blob);
    assert.equal(await connect(t, loaded.port).dbsize(), 1);
  }
});

test('SN-2 a transfer that is cut leaves no blob; it is repeated, and so is one that is altered on the way', async (t) => {
  const [azurite, redis] = await Promise.all([freshContainer(), startRedis(t)]);
  await fillBulk(redis.port, 2000, 5000);
  const proxy = await startFaultProxy(t, redis);
  const bed = await startSnapshot(t, {
    ...{ azurite, redis: proxy, stateDir: await tempDir(t) },
    settings: { exportMethod: 'sync' },
  });
  for (const kind of ['cut', 'flip'] as const) {
    const before = await azurite.names();
    proxy.set({ kind, afterBytes: 5_000_000 });
    const runId = await bed.begin('Export');
    await bed.until(runId, () => bed.lines.some((line) => line.includes(`"runId":"${runId}","code"`)));
    assert.deepEqual(await azurite.names(), before);
    await bed.until(runId, 'done');
    assert.match(await checkRdb(t, await azurite.download(`snapshots/${runId}.rdb`)), /RDB looks OK/);
  }
});

test('a server without checksums (rdbchecksum no) is exported, and the manifest says so', async (t) => {
  const [azurite, redis] = await Promise.all([
    freshContainer(),
    startRedis(t, { args: ['--rdbchecksum', 'no'] }),
  ]);
  await fillMixed(redis.port);
  const bed = await startSnapshot(t, { azurite, redis });
  const manifest = await manifestOf(azurite, await bed.run('Export'));
  assert.equal(manifest.parts[0]?.isChecksummed, false);
});

test('SN-20 SN-21 one export at a time; Operation and ListSnapshots tell of all, and only the newest are retained', async (t) => {
  const [azurite, redis] = await Promise.all([freshContainer(), startRedis(t)]);
  await fillBulk(redis.port, 100, 1000);
  const bed = await startSnapshot(t, {
    ...{ azurite, redis, stateDir: await tempDir(t) },
    settings: { retainSnapshots: 2 },
  });
  await azurite.upload('snapshots/notes.txt', 'not ours');
  const names: string[] = [];
  for (let round = 0; round < 3; round += 1) {
    const runId = await bed.begin('Export');
    assert.equal((await bed.call('Export')).status, 409);
    names.unshift(nameOf((await bed.until(runId, 'done'))['result'] as JsonObject));
  }
  const listed = (await bed.call('ListSnapshots')).payload as JsonObject;
  assert.deepEqual(
    (listed['snapshots'] as JsonObject[]).map(({ snapshot }) => snapshot),
    names.slice(0, 2),
  );
  assert.deepEqual(
    [...(await azurite.names())].sort(),
    [
      ...names.slice(0, 2).flatMap((name) => [`snapshots/${name}.rdb`, `snapshots/${name}.manifest.json`]),
      'snapshots/notes.txt',
    ].sort(),
  );
  const { operations } = (await bed.call('Operation')).payload as { operations: JsonObject[] } & JsonObject;
  assert.deepEqual(
    operations.map(({ kind, state }) => [kind, state]),
    Array(3).fill(['export', 'done']),
  );
});

test('SN-26 a SAS that may not write ends the run with SAS_PERMISSION', async (t) => {
  const [azurite, redis] = await Promise.all([freshContainer(), startRedis(t)]);
  await fillBulk(redis.port, 10, 1000);
  const bed = await startSnapshot(t, { azurite, redis, permissions: 'rl', stateDir: await tempDir(t) });
  const over = await bed.until(await bed.begin('Export'), 'failed');
  assert.deepEqual([over['code'], over['ac']], ['SAS_PERMISSION', 403]);
  assert.match(JSON.stringify(over['message']), /sp=rl.*needs sp=w/);
});

test('SN-4 SN-26 a SAS that expires in the run is named, and a new one goes on from the spool without a second SYNC', async (t) => {
  const [azurite, redis] = await Promise.all([freshContainer(), startRedis(t)]);
  await fillBulk(redis.port, 4000, 5000);
  const proxy = await startFaultProxy(t, azurite);
  const expiresOn = new Date(Date.now() + 3000);
  const stateDir = await tempDir(t);
  const bed = await startSnapshot(t, {
    ...{ azurite, redis, stateDir },
    settings: {
      blobEndpoint: azurite.endpointAt(proxy.port),
      blobSasToken: azurite.sas({ permissions: 'rwcdl', expiresOn }),
      stallTimeoutMs: 4000,
    },
  });
  proxy.set({ kind: 'stall', afterBytes: 600 });
  const runId = await bed.begin('Export');
  const over = await bed.until(runId, 'failed');
  assert.equal(over['code'], 'SAS_EXPIRED');
  assert.deepEqual(await azurite.names(), []);
  const syncs = async (): Promise<string | undefined> =>
    /sync_full:(\d+)/.exec(await connect(t, redis.port).info('stats'))?.[1];
  const before = await syncs();
  bed.applyLive({ blobSasToken: azurite.sas({ permissions: 'rwcdl' }) });
  await bed.until(runId, 'done');
  assert.equal(await syncs(), before);
  assert.match(await checkRdb(t, await azurite.download(`snapshots/${runId}.rdb`)), /RDB looks OK/);
});

test('a cancelled export leaves no blob, and its runId goes on with it', async (t) => {
  const [azurite, redis] = await Promise.all([freshContainer(), startRedis(t)]);
  await fillBulk(redis.port, 4000, 5000);
  const proxy = await startFaultProxy(t, azurite);
  proxy.set({ kind: 'stall', afterBytes: 600 });
  const bed = await startSnapshot(t, {
    ...{ azurite, redis, stateDir: await tempDir(t) },
    settings: { blobEndpoint: azurite.endpointAt(proxy.port), stallTimeoutMs: 60_000 },
  });
  const runId = await bed.begin('Export');
  await bed.until(
    runId,
    ({ progress }) => Number((progress as JsonObject)['receivedBytes'] ?? 0) > 19_000_000,
  );
  assert.equal((await bed.call('CancelOperation', { runId })).status, 200);
  await bed.until(runId, 'cancelled');
  assert.deepEqual(await azurite.names(), []);
  assert.equal((await bed.call('CancelOperation', { runId })).status, 409);
  proxy.set({ kind: 'none' });
  assert.equal(await bed.begin('Export', { runId }), runId);
  const over = await bed.until(runId, 'done');
  assert.equal(over['resumes'], 1);
});

test('SN-24 behind Sentinel the export reads from the replica, and Sentinel knows no other replica afterwards', async (t) => {
  const [azurite, primary] = await Promise.all([freshContainer(), startRedis(t)]);
  const replica = await startRedis(t, { args: ['--replicaof', '127.0.0.1', String(primary.port)] });
  await fillBulk(primary.port, 100, 1000);
  const port = await freePort();
  await startSentinel(t, port, primary.port);
  const sentinel = connect(t, port);
  const replicas = async (): Promise<unknown[]> =>
    (await sentinel.call('SENTINEL', ['REPLICAS', 'mymaster'])) as unknown[];
  for (
    const until = Date.now() + 20_000;
    !JSON.stringify(await replicas()).includes('"master-link-status","ok"');
  ) {
    assert.ok(Date.now() < until, 'the Sentinel knows the replica');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const bed = await startSnapshot(t, {
    ...{ azurite, stateDir: await tempDir(t) },
    settings: { redisMode: 'sentinel', redisSentinels: [`127.0.0.1:${port}`] },
  });
  const manifest = await manifestOf(azurite, await bed.run('Export'));
  assert.deepEqual([manifest.mode, manifest.keys], ['sentinel', 100]);
  const syncs = async (at: number): Promise<string | undefined> =>
    /sync_full:(\d+)/.exec(await connect(t, at).info('stats'))?.[1];
  assert.deepEqual([await syncs(replica.port), await syncs(primary.port)], ['1', '1']);
  // The Sentinel asks its servers for their replicas every 10 s.
  await new Promise((resolve) => setTimeout(resolve, 11_000));
  assert.equal((await replicas()).length, 1);
});
