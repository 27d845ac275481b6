import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Redis } from 'ioredis';
import { startAzurite } from '../helpers/azurite.ts';
import type { TestAzurite } from '../helpers/azurite.ts';
import { startRedis } from '../helpers/redis.ts';
import type { TestRedis } from '../helpers/redis.ts';
import { startSync } from '../helpers/sync-bed.ts';

let azurite: TestAzurite;
let redis: TestRedis;
let client: Redis;

before(async () => {
  [azurite, redis] = await Promise.all([startAzurite(), startRedis(undefined)]);
  client = new Redis(redis.port, '127.0.0.1');
});
after(async () => {
  client.disconnect();
  await Promise.all([azurite.stop(), redis.stop()]);
});

/** Every key but the module's own, with its value. */
async function contents(): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  for (const key of (await client.keys('*')).sort()) {
    if (key.startsWith('iotedge-redis:')) continue;
    found[key] = (await client.type(key)) === 'hash' ? await client.hgetall(key) : await client.get(key);
  }
  return found;
}

test("the seed's file and its five properties bring the keys into Redis, and the result into the twin", async (t) => {
  await client.flushall();
  const etag = await azurite.upload('update.csv', 'key1:value1\r\nkey2:value2\r\nkey3:value3');
  const bed = await startSync(t, { azurite, redis });
  await bed.until('done');
  assert.deepEqual(await contents(), { key1: 'value1', key2: 'value2', key3: 'value3' });
  const {
    ac,
    av,
    rows,
    written,
    skipped,
    deleted,
    bytes,
    etag: reported,
    errors,
    delimiter,
  } = bed.reports.at(-1) ?? {};
  assert.deepEqual(
    { ac, av, rows, written, skipped, deleted, bytes, reported, errors, delimiter },
    {
      ac: 200,
      av: 7,
      rows: 3,
      written: 3,
      skipped: 0,
      deleted: 0,
      bytes: 37,
      reported: etag,
      errors: [],
      delimiter: 'colon',
    },
  );
  for (const name of ['startedAt', 'finishedAt', 'durationMs'])
    assert.ok(name in (bed.reports.at(-1) ?? {}), name);
});

test('RS-11 RS-41 columns give types, time to live and deletion; the last row of a key wins', async (t) => {
  await client.flushall();
  await client.set('gone', 'x');
  await client.set('h', 'was a string');
  await azurite.upload(
    'columns.csv',
    [
      'key,value,ttl,type,op',
      'a,1,,,',
      'b,"two, 2",60,,',
      'h,"{""x"":1,""y"":""z""}",,hash,',
      'j,"{""x"": 1}",90,json,',
      'gone,,,,del',
      'a,last,,,',
    ].join('\n'),
  );
  const bed = await startSync(t, { azurite, redis, blob: 'columns.csv', settings: { ttlSeconds: 1000 } });
  const { startedAt, written, deleted } = await bed.until('done');
  assert.deepEqual(await contents(), { a: 'last', b: 'two, 2', h: { x: '1', y: 'z' }, j: '{"x": 1}' });
  assert.deepEqual({ written, deleted }, { written: 5, deleted: 1 });
  const start = Date.parse(String(startedAt));
  assert.equal(await client.pexpiretime('b'), start + 60_000);
  assert.equal(await client.pexpiretime('j'), start + 90_000);
  assert.equal(await client.pexpiretime('a'), start + 1_000_000);
  assert.equal(await client.pexpiretime('h'), start + 1_000_000);
});

test('gzip by name and by content encoding', async (t) => {
  await client.flushall();
  const packed = gzipSync('a:1\nb:2\n');
  await azurite.upload('x.csv.gz', packed);
  await azurite.upload('y.csv', packed, { blobHTTPHeaders: { blobContentEncoding: 'gzip' } });
  const first = await startSync(t, { azurite, redis, blob: 'x.csv.gz' });
  await first.until('done');
  assert.deepEqual(await contents(), { a: '1', b: '2' });
  await client.flushall();
  const second = await startSync(t, { azurite, redis, blob: 'y.csv' });
  await second.until('done');
  assert.deepEqual(await contents(), { a: '1', b: '2' });
});
