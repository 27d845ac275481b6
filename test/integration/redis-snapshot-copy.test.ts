import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import type { JsonObject } from '@iotedge-redis/common';
import type { Manifest } from '../../modules/redis-snapshot/src/storage/manifest.ts';
import { startAzurite } from '../helpers/azurite.ts';
import type { TestAzurite } from '../helpers/azurite.ts';
import { dumpAll, fillBulk, fillMixed } from '../helpers/mixed-data.ts';
import { startRedis } from '../helpers/redis.ts';
import { startSnapshot, tempDir } from '../helpers/snapshot-bed.ts';

const storage = await startAzurite();
after(() => storage.stop());
let containers = 0;
const freshContainer = (): Promise<TestAzurite> => storage.createContainer(`test-${(containers += 1)}`);

function copySettings(target: TestAzurite, permissions = 'rwcl') {
  return {
    copyBlobEndpoint: target.endpoint,
    copyBlobContainerName: target.container,
    copyBlobSasToken: target.sas({ permissions }),
  };
}

function textOf(value: unknown): string {
  if (typeof value !== 'string') throw new Error(`expected a text, found ${JSON.stringify(value)}`);
  return value;
}

async function manifestOf(azurite: TestAzurite, snapshot: unknown): Promise<Manifest> {
  const content = await azurite.download(`snapshots/${textOf(snapshot)}.manifest.json`);
  return JSON.parse(content.toString()) as Manifest;
}

test('SN-6 SN-7 a copy is made by the service, held against the checksum of each block, and its manifest comes last', async (t) => {
  const [here, there, redis] = await Promise.all([freshContainer(), freshContainer(), startRedis(t)]);
  await fillBulk(redis.port, 3000, 5000);
  const bed = await startSnapshot(t, { azurite: here, redis, settings: copySettings(there) });
  const exported = await bed.run('Export');
  const copied = await bed.run('Copy');
  const manifest = await manifestOf(there, exported['snapshot']);
  assert.deepEqual(manifest.copy?.verified, 'crc64 of each block');
  assert.deepEqual(
    { ...manifest, copy: undefined },
    { ...(await manifestOf(here, exported['snapshot'])), copy: undefined },
  );
  const blob = `snapshots/${manifest.name}.rdb`;
  assert.ok((await there.download(blob)).equals(await here.download(blob)));
  assert.equal(copied['snapshot'], exported['snapshot']);
  const again = await bed.run('Copy', { snapshot: manifest.name });
  assert.equal(again['durationMs'], 0, 'what is there is not copied again');
});

test('a copy that is asked for while an export is under way waits for it, and fails when it comes to nothing', async (t) => {
  const [here, there, redis] = await Promise.all([freshContainer(), freshContainer(), startRedis(t)]);
  await fillBulk(redis.port, 2000, 10_000);
  const bed = await startSnapshot(t, { azurite: here, redis, settings: copySettings(there) });
  await bed.run('Export');
  const later = await bed.begin('Export');
  const { result } = await bed.until(await bed.begin('Copy'), 'done');
  assert.equal((result as JsonObject)['snapshot'], later, 'not the snapshot before');
  const cancelled = await bed.begin('Export');
  const copy = await bed.begin('Copy');
  await bed.call('CancelOperation', { runId: cancelled });
  await bed.until(cancelled, 'cancelled');
  const { code } = await bed.until(copy, 'failed');
  assert.equal(code, 'NOT_FOUND');
});

test('a file that was uploaded in one piece is copied as a whole, and its length is compared', async (t) => {
  const [here, there, redis] = await Promise.all([freshContainer(), freshContainer(), startRedis(t)]);
  await fillBulk(redis.port, 100, 5000);
  const bed = await startSnapshot(t, { azurite: here, redis, settings: copySettings(there) });
  const { snapshot } = await bed.run('Export');
  const blob = `snapshots/${textOf(snapshot)}.rdb`;
  await here.upload(blob, await here.download(blob));
  await bed.run('Copy');
  assert.equal((await manifestOf(there, snapshot)).copy?.verified, 'length');
  assert.ok((await there.download(blob)).equals(await here.download(blob)));
});

test('a copy of what is not there, or with a SAS that may not write, fails and says so; nothing arrives', async (t) => {
  const [here, there, redis] = await Promise.all([freshContainer(), freshContainer(), startRedis(t)]);
  const bed = await startSnapshot(t, { azurite: here, redis, settings: copySettings(there, 'rl') });
  const absent = await bed.until(await bed.begin('Copy'), 'failed');
  assert.equal(absent['code'], 'NOT_FOUND');
  await bed.run('Export');
  const refused = await bed.until(await bed.begin('Copy'), 'failed');
  assert.equal(refused['code'], 'SAS_PERMISSION');
  assert.match(JSON.stringify(refused['message']), /sp=rl.*needs sp=w/);
  bed.applyLive(copySettings(there));
  const over = await bed.until(textOf(refused['runId']), 'done');
  assert.equal(over['resumes'], 1, 'a new SAS goes on with it');
  assert.equal((await there.names()).length, 2);
});

test('Copy without a container to copy to is refused at once', async (t) => {
  const [here, redis] = await Promise.all([freshContainer(), startRedis(t)]);
  const bed = await startSnapshot(t, { azurite: here, redis });
  assert.equal((await bed.call('Copy')).status, 400);
});

test('SN-18 SN-22 a snapshot goes from one site to the other: exported, copied after it, imported on its arrival', async (t) => {
  const [here, there, source, target] = await Promise.all([
    freshContainer(),
    freshContainer(),
    startRedis(t),
    startRedis(t),
  ]);
  const keys = await fillMixed(source.port);
  const dr = await startSnapshot(t, {
    ...{ azurite: there, redis: target, stateDir: await tempDir(t) },
    settings: { importOnArrival: 'failIfNotEmpty', arrivalPollSeconds: 1 },
  });
  const bed = await startSnapshot(t, {
    ...{ azurite: here, redis: source, stateDir: await tempDir(t) },
    settings: { ...copySettings(there), copyAfterExport: true },
  });
  const runId = await bed.begin('Export');
  const imported = async (): Promise<JsonObject | undefined> => {
    const { operations } = (await dr.call('Operation')).payload as { operations: JsonObject[] } & JsonObject;
    return operations.find(({ kind, state }) => kind === 'import' && state !== 'running');
  };
  let run: JsonObject | undefined;
  for (const until = Date.now() + 60_000; run === undefined; run = await imported()) {
    assert.ok(Date.now() < until, 'the snapshot arrives');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.equal(run['state'], 'done', JSON.stringify(run));
  const result = (await dr.until(textOf(run['runId']), 'done'))['result'] as JsonObject;
  assert.equal(result['snapshot'], runId);
  const [found, wanted] = [await dumpAll(target.port), await dumpAll(source.port)];
  assert.equal(found.size, keys);
  assert.deepEqual(found, wanted);
  // The same manifest is not imported twice.
  await new Promise((resolve) => setTimeout(resolve, 2500));
  const { operations } = (await dr.call('Operation')).payload as { operations: JsonObject[] } & JsonObject;
  assert.equal(operations.length, 1);
});

test('AM-4 export, copy and import are commands of the program: JSON on stdout and an exit code', async (t) => {
  const [here, there, source, target] = await Promise.all([
    freshContainer(),
    freshContainer(),
    startRedis(t),
    startRedis(t),
  ]);
  await fillMixed(source.port);
  const main = join(import.meta.dirname, '../../modules/redis-snapshot/src/main.ts');
  const run = async (command: string, redis: { port: number }, at: TestAzurite): Promise<JsonObject> => {
    const { stdout } = await promisify(execFile)(process.execPath, ['--conditions=source', main, command], {
      env: {
        PATH: process.env['PATH'],
        REDIS_ENDPOINT: `127.0.0.1:${redis.port}`,
        STATE_DIR: await tempDir(t),
        BLOB_ENDPOINT: at.endpoint,
        BLOB_CONTAINER_NAME: at.container,
        BLOB_SAS_TOKEN: at.sas({ permissions: 'rwcdl' }),
        COPY_BLOB_ENDPOINT: there.endpoint,
        COPY_BLOB_CONTAINER_NAME: there.container,
        COPY_BLOB_SAS_TOKEN: there.sas({ permissions: 'rwcl' }),
      },
    });
    return JSON.parse(stdout) as JsonObject;
  };
  for (const [command, redis, at] of [
    ['export', source, here],
    ['copy', source, here],
    ['import', target, there],
  ] as const) {
    const result = await run(command, redis, at);
    assert.deepEqual([result['kind'], result['state']], [command, 'done']);
  }
  assert.deepEqual(await dumpAll(target.port), await dumpAll(source.port));
  await assert.rejects(run('import', target, there), { code: 1 });
});
