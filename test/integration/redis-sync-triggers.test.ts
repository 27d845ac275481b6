import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Redis } from 'ioredis';
import { startAzurite } from '../helpers/azurite.ts';
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
