import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { imageCommand } from '../../bench/image-command.ts';
import { usageOf } from '../../bench/process-usage.ts';
import { CONTAINER, startAzurite } from '../helpers/azurite.ts';
import type { TestAzurite } from '../helpers/azurite.ts';
import { startHttpProxy } from '../helpers/http-proxy.ts';
import { startModuleProcess } from '../helpers/module-process.ts';
import type { ModuleProcess } from '../helpers/module-process.ts';
import { freePort, startRedis } from '../helpers/redis.ts';
import type { TestRedis } from '../helpers/redis.ts';

const MAIN = 'modules/redis-sync/src/main.ts';

let azurite: TestAzurite;
let redis: TestRedis;
let client: Redis;

before(async () => {
  [azurite, redis] = await Promise.all([startAzurite(), startRedis(undefined)]);
  client = new Redis(redis.port, '127.0.0.1');
  await azurite.upload('update.csv', 'key1:value1\nkey2:value2\nbad\n');
});
after(async () => {
  client.disconnect();
  await Promise.all([azurite.stop(), redis.stop()]);
});

const environment = (): Record<string, string> => ({
  REDIS_ENDPOINT: `127.0.0.1:${redis.port}`,
  BLOB_ENDPOINT: azurite.endpoint,
  BLOB_CONTAINER_NAME: CONTAINER,
  BLOB_FILE_NAME: 'update.csv',
  BLOB_SAS_TOKEN: `?${azurite.sas()}`,
  CSV_DELIMITER: 'colon',
});

const command = (t: TestContext, more: Readonly<Record<string, string>> = {}): Promise<ModuleProcess> =>
  startModuleProcess(t, MAIN, { args: ['sync'], environment: { ...environment(), ...more } });

const resultOf = (program: ModuleProcess): Record<string, unknown> =>
  JSON.parse(program.output()) as Record<string, unknown>;

test('AM-4 the command sync imports once, says how it went as JSON on standard output, and exits with 0', async (t) => {
  await client.flushall();
  const first = await command(t);
  assert.equal((await first.ended).code, 0, first.errors());
  assert.partialDeepStrictEqual(resultOf(first), { state: 'done', ac: 200, rows: 3, written: 2, skipped: 1 });
  assert.equal(await client.get('key2'), 'value2');
  await client.set('key2', 'by hand');
  const again = await command(t);
  assert.equal((await again.ended).code, 0);
  assert.equal(await client.get('key2'), 'by hand');
});

test('AM-4 the command sync exits with 1 and the reason when there is no such blob, or nothing is configured', async (t) => {
  const missing = await command(t, { BLOB_FILE_NAME: 'nowhere.csv' });
  assert.equal((await missing.ended).code, 1);
  assert.partialDeepStrictEqual(resultOf(missing), { state: 'failed', code: 'BLOB_NOT_FOUND', ac: 404 });
  const unset = await startModuleProcess(t, MAIN, { args: ['sync'] });
  assert.equal((await unset.ended).code, 1);
  assert.match(unset.output() + unset.errors(), /REDIS_ENDPOINT|endpoint/);
});

test('AM-6 RS-37 the blob is read through the proxy that HTTP_PROXY names', async (t) => {
  await client.flushall();
  const proxy = await startHttpProxy(t);
  const program = await command(t, { HTTP_PROXY: proxy.url });
  assert.equal((await program.ended).code, 0, program.errors());
  assert.equal(await client.get('key1'), 'value1');
  const blob = `${azurite.endpoint}/${CONTAINER}/update.csv`;
  assert.ok(proxy.asked.includes(`HEAD ${blob}`) && proxy.asked.includes(`GET ${blob}`), String(proxy.asked));
});

test('AM-6 RS-37 HTTPS_PROXY is asked for a tunnel to the storage account, and for nothing else', async (t) => {
  const proxy = await startHttpProxy(t);
  const program = await command(t, {
    BLOB_ENDPOINT: '',
    STORAGE_ACCOUNT_NAME: 'abc',
    HTTPS_PROXY: proxy.url,
  });
  for (const deadline = Date.now() + 60_000; proxy.asked.length === 0 && Date.now() < deadline;)
    await sleep(20);
  program.kill('SIGKILL');
  await program.ended;
  assert.deepEqual([...new Set(proxy.asked)], ['CONNECT abc.blob.core.windows.net:443']);
});

test('AM-6 RS-37 a host in NO_PROXY is reached without the proxy', async (t) => {
  await client.flushall();
  const program = await command(t, {
    HTTP_PROXY: `http://127.0.0.1:${await freePort()}`,
    NO_PROXY: 'example.org,127.0.0.1',
  });
  assert.equal((await program.ended).code, 0, program.errors());
  assert.equal(await client.get('key1'), 'value1');
});

test('RS-12 fifteen times as many rows take no more memory', async (t) => {
  const image = imageCommand(join(import.meta.dirname, '../../modules/redis-sync/Dockerfile.amd64'));
  const peakOf = async (rows: number): Promise<number> => {
    const lines = Array.from({ length: rows }, (_, at) => `key${at}:value-${String(at).padStart(24, '.')}\n`);
    await azurite.upload('size.csv', lines.join(''));
    await client.flushall();
    const module = await startModuleProcess(t, MAIN, {
      flags: image.flags,
      environment: { ...image.environment, ...environment(), BLOB_FILE_NAME: 'size.csv' },
    });
    await module.until(/import done/, 120_000);
    assert.equal(await client.dbsize(), rows + 1);
    const peak = usageOf(module.pid)?.peakRssMb ?? Number.NaN;
    module.kill('SIGTERM');
    await module.ended;
    return peak;
  };
  const small = await peakOf(40_000);
  const large = await peakOf(600_000);
  assert.ok(large < small * 1.25, `${small.toFixed()} MB, then ${large.toFixed()} MB`);
});
