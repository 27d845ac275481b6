import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { CONTAINER, startAzurite } from '../helpers/azurite.ts';
import { startFaultProxy } from '../helpers/fault-proxy.ts';
import { startRedis } from '../helpers/redis.ts';
import { startSync } from '../helpers/sync-bed.ts';

const ROUNDS = Number(process.env['FAULT_ROUNDS'] ?? 3);
const SEED = Number(process.env['FAULT_SEED'] ?? Date.now() % 1_000_000);
const ROWS = 1_000_000;
const RANGE_BYTES = 2 * 1024 * 1024;
const main = join(fileURLToPath(new URL('../..', import.meta.url)), 'modules/redis-sync/src/main.ts');

/** A small generator, so that a seed repeats a failed run. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const valueOf = (index: number): string => `value-${String(index).padStart(24, '.')}`;

test(`RS-19 killed ${ROUNDS} times at random points of imports of a million rows, it resumes and ends as a clean run (FAULT_SEED ${SEED})`, async (t) => {
  console.log(`FAULT_SEED=${SEED} FAULT_ROUNDS=${ROUNDS}`);
  const random = randomOf(SEED);
  const [azurite, redis] = await Promise.all([startAzurite(t), startRedis(t)]);
  const proxy = await startFaultProxy(t, azurite);
  const client = new Redis(redis.port, '127.0.0.1');
  t.after(() => client.disconnect());
  const parts: Buffer[] = [];
  for (let from = 0; from < ROWS; from += 50_000) {
    const lines = Array.from({ length: 50_000 }, (_, at) => `key${from + at}:${valueOf(from + at)}\n`);
    parts.push(Buffer.from(lines.join('')));
  }
  const content = Buffer.concat(parts);
  await azurite.upload('big.csv', content);

  /** One life of the module; true when the import came to its end in it. */
  const live = async (token: string, killAfterMs: number): Promise<boolean> => {
    const child = spawn(process.execPath, ['--conditions=source', main], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        PATH: process.env['PATH'],
        HTTP_PORT: '0',
        HTTP_HOST: '127.0.0.1',
        REDIS_ENDPOINT: `127.0.0.1:${redis.port}`,
        BLOB_ENDPOINT: azurite.endpointAt(proxy.port),
        BLOB_CONTAINER_NAME: CONTAINER,
        BLOB_FILE_NAME: 'big.csv',
        BLOB_SAS_TOKEN: azurite.sas(),
        SYNC_TOKEN: token,
      },
    });
    const exited = once(child, 'exit');
    t.after(() => child.kill('SIGKILL'));
    let isDone = false;
    for await (const line of createInterface({ input: child.stdout })) {
      if (/import (starts|resumes)/.test(line)) setTimeout(() => child.kill('SIGKILL'), killAfterMs).unref();
      if (line.includes('import done')) {
        isDone = true;
        child.kill('SIGKILL');
      }
      assert.doesNotMatch(line, /import (failed|ended)/);
    }
    await exited;
    return isDone;
  };

  let kills = 0;
  for (let imports = 1; kills < ROUNDS; imports += 1) {
    await client.flushall();
    const before = proxy.passedBytes;
    let killsHere = 0;
    // The last life is not killed, so that each import comes to its end.
    while (!(await live(`import ${imports}`, kills >= ROUNDS ? 600_000 : 20 + random() * 900))) {
      kills += 1;
      killsHere += 1;
    }
    assert.equal(await client.dbsize(), ROWS + 1);
    for (let from = 0; from < ROWS; from += 20_000) {
      const keys = Array.from({ length: 20_000 }, (_, at) => `key${from + at}`);
      const values = await client.mget(keys);
      const wrong = values.findIndex((value, at) => value !== valueOf(from + at));
      assert.equal(wrong, -1, `key${from + wrong} after ${killsHere} kills`);
    }
    // A life fetches again what the one before had fetched and not written: the range at work, the next one, and headers.
    const fetched = proxy.passedBytes - before;
    const allowed = content.length * 1.02 + (killsHere + 1) * 3 * RANGE_BYTES;
    assert.ok(
      fetched < allowed,
      `${fetched} bytes fetched after ${killsHere} kills, at most ${allowed} expected`,
    );
    console.log(
      `import ${imports}: ${killsHere} kills, fetched ${(fetched / content.length).toFixed(2)} times the file`,
    );
  }
});

test(`RS-14 RS-15 a link that is cut, stalls or errs ${ROUNDS} times at random bytes costs no row (FAULT_SEED ${SEED})`, async (t) => {
  const random = randomOf(SEED);
  const [azurite, redis] = await Promise.all([startAzurite(t), startRedis(t)]);
  const proxy = await startFaultProxy(t, azurite);
  const client = new Redis(redis.port, '127.0.0.1');
  t.after(() => client.disconnect());
  const rows = 100_000;
  const lines = Array.from({ length: rows }, (_, index) => `key${index}:${valueOf(index)}\n`);
  const content = Buffer.from(lines.join(''));
  await azurite.upload('link.csv', content);
  for (let round = 0; round < ROUNDS; round += 1) {
    await client.flushall();
    const kind = (['cut', 'stall', 'flip'] as const)[Math.floor(random() * 3)] ?? 'cut';
    const afterBytes = Math.floor(random() * content.length);
    proxy.set({ kind, afterBytes });
    const bed = await startSync(t, {
      azurite,
      redis,
      blob: 'link.csv',
      settings: { blobEndpoint: azurite.endpointAt(proxy.port), stallTimeoutMs: 1000 },
    });
    const { written } = await bed.until('done', 120_000);
    await bed.stop();
    assert.deepEqual([written, await client.dbsize()], [rows, rows + 1], `${kind} at ${afterBytes}`);
    for (let from = 0; from < rows; from += 20_000) {
      const keys = Array.from({ length: 20_000 }, (_, at) => `key${from + at}`);
      const values = await client.mget(keys);
      const wrong = values.findIndex((value, at) => value !== valueOf(from + at));
      assert.equal(wrong, -1, `key${from + wrong} after ${kind} at ${afterBytes}`);
    }
  }
});
