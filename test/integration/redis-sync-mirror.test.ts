import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { Redis } from 'ioredis';
import type { JsonObject } from '@iotedge-redis/common';
import { startAzurite } from '../helpers/azurite.ts';
import { startRedis } from '../helpers/redis.ts';
import { startSync } from '../helpers/sync-bed.ts';

interface Bed {
  readonly client: Redis;
  /** Makes the file `k<from>` up to `k<to>`. */
  readonly upload: (from: number, to: number) => Promise<void>;
  /** One life of the module; resolves with the status at the run's end. */
  readonly run: (more?: object) => Promise<JsonObject>;
  /** Takes a permission from the module's user, or gives it back. */
  readonly permit: (rule: string) => Promise<unknown>;
  /** How many keys the module keeps besides the checkpoint. */
  readonly kept: () => Promise<number>;
  /** As if the module had been killed right before the mark of the run's end. */
  readonly takeEndMarkBack: () => Promise<void>;
}

async function startMirror(t: TestContext): Promise<Bed> {
  const [azurite, redis] = await Promise.all([startAzurite(t), startRedis(t)]);
  const client = new Redis(redis.port, '127.0.0.1');
  t.after(() => client.disconnect());
  await client.call('ACL', 'SETUSER', 'importer', 'on', '>pw', '~*', '+@all');
  const settings = { redisUsername: 'importer', redisPassword: 'pw', mode: 'mirror', batchRows: 10 } as const;
  return {
    client,
    async upload(from, to) {
      const rows = Array.from({ length: to - from }, (_, at) => `k${from + at}:v\n`);
      await azurite.upload('mirror.csv', rows.join(''));
    },
    async run(more = {}) {
      const options = { azurite, redis, blob: 'mirror.csv', settings: { ...settings, ...more } };
      const bed = await startSync(t, options);
      const status = await bed.until(({ state }) => state === 'done' || state === 'failed');
      await bed.stop();
      return status;
    },
    permit: (rule) => client.call('ACL', 'SETUSER', 'importer', rule),
    kept: async () =>
      (await client.keys('iotedge-redis:*')).filter((key) => !key.endsWith(':checkpoint')).length,
    async takeEndMarkBack() {
      const [key = ''] = await client.keys('*:checkpoint');
      const held = JSON.parse((await client.get(key)) ?? '') as JsonObject;
      await client.set(key, JSON.stringify({ ...held, state: 'sweeping', code: null, message: null }));
    },
  };
}

/** Lists of ten keys each, and the names of the generations. */
const keysFor = (...rows: readonly number[]): number =>
  rows.reduce((sum, count) => sum + Math.ceil(count / 10), 1);

test('RS-29 a mirror that is interrupted while it forgets what it deleted, or after that, still tells how much it was', async (t) => {
  const { client, upload, run, permit, kept, takeEndMarkBack } = await startMirror(t);
  await upload(0, 100);
  await run();
  await upload(5, 100);
  // It deletes by UNLINK; what fails is the first list that is to go.
  await permit('-del');
  assert.partialDeepStrictEqual(await run(), { state: 'failed', code: 'REDIS_DENIED' });
  assert.equal(await client.exists('k0', 'k4'), 0);
  await client.set('k0', 'of another writer');
  await permit('+del');
  assert.partialDeepStrictEqual(await run(), { state: 'done', rows: 95, deleted: 5 });
  assert.equal(await kept(), keysFor(95));
  await takeEndMarkBack();
  assert.partialDeepStrictEqual(await run(), { state: 'done', rows: 95, deleted: 5 });
  assert.equal(await kept(), keysFor(95));
  assert.equal(await client.get('k0'), 'of another writer');
});

test('RS-29 RS-35 a guarded mirror that is interrupted while it packs its lists, or after that, ends as guarded and owns its keys still', async (t) => {
  const { client, upload, run, permit, kept, takeEndMarkBack } = await startMirror(t);
  await upload(0, 100);
  await run();
  await upload(50, 100);
  await permit('-del');
  assert.partialDeepStrictEqual(await run(), { state: 'failed', code: 'REDIS_DENIED' });
  await permit('+del');
  const guarded = { state: 'failed', code: 'DELETE_GUARD', deleted: 0 };
  const ended = await run();
  assert.partialDeepStrictEqual(ended, guarded);
  assert.match(ended['message'] as string, /^50 of 100 keys/);
  // The packed ones take a single list of up to a thousand.
  assert.equal(await kept(), keysFor(50) + 1);
  await takeEndMarkBack();
  const again = await run();
  assert.partialDeepStrictEqual(again, { ...guarded, message: ended['message'] });
  assert.equal(await client.exists('k0'), 1);
  assert.partialDeepStrictEqual(await run({ maxDeletePercent: 60 }), { state: 'done', deleted: 50 });
  assert.equal(await client.exists('k0'), 0);
  assert.equal(await kept(), keysFor(50));
});

test('RS-29 a mirror of bad rows that is interrupted before its end mark owns what it owned', async (t) => {
  const { client, upload, run, takeEndMarkBack } = await startMirror(t);
  await upload(0, 100);
  await run();
  await upload(5, 100);
  // The user may not write one of the rows, which is a bad row then.
  await client.call('ACL', 'SETUSER', 'importer', 'resetkeys', '~iotedge-redis:*', '~k1*', '~k2*');
  assert.partialDeepStrictEqual(await run(), { state: 'done', code: 'MIRROR_SKIPPED', deleted: 0 });
  await takeEndMarkBack();
  assert.partialDeepStrictEqual(await run(), { state: 'done', code: 'MIRROR_SKIPPED', deleted: 0 });
  await client.call('ACL', 'SETUSER', 'importer', 'resetkeys', '~*');
  assert.partialDeepStrictEqual(await run({ syncToken: 'mended' }), { state: 'done', deleted: 5 });
});
