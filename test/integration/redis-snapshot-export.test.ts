import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { JsonObject } from '@iotedge-redis/common';
import { Redis } from 'ioredis';
import { startAzurite } from '../helpers/azurite.ts';
import { startRedis } from '../helpers/redis.ts';
import { checkRdb, startRedisFrom, startSnapshot, tempDir } from '../helpers/snapshot-bed.ts';

test('an export becomes a file that redis-check-rdb finds good and a server loads', async (t) => {
  const [azurite, redis] = await Promise.all([startAzurite(t), startRedis(t)]);
  const client = new Redis(redis.port, '127.0.0.1');
  t.after(() => client.disconnect());
  await client.set('a', '1');
  await client.hset('h', { field: 'value' });
  const bed = await startSnapshot(t, { azurite, redis, stateDir: await tempDir(t) });
  const result = await bed.run('Export');
  console.log(result, bed.lines.join(''));
  const names = await azurite.names();
  console.log(names);
  const blob = await azurite.download(names.find((name) => name.endsWith('.rdb')) ?? '');
  assert.equal(result['sha256'], createHash('sha256').update(blob).digest('hex'));
  const manifest = JSON.parse(
    (await azurite.download(names.find((name) => name.endsWith('.json')) ?? '')).toString(),
  ) as JsonObject;
  console.log(JSON.stringify(manifest));
  assert.match(await checkRdb(t, blob), /RDB looks OK/);
  const loaded = await startRedisFrom(t, blob);
  const other = new Redis(loaded.port, '127.0.0.1');
  t.after(() => other.disconnect());
  assert.equal(await other.get('a'), '1');
});
