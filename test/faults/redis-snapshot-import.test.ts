import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Crc64, SuiteError } from '@iotedge-redis/common';
import { fillEveryEncoding } from '../helpers/every-encoding.ts';
import { importFile, keyCounts, saveRdb, withRedis } from '../helpers/import-bed.ts';
import type { ImportFileOptions } from '../helpers/import-bed.ts';
import { startFaultProxy } from '../helpers/fault-proxy.ts';
import { dumpAll, fillBulk } from '../helpers/mixed-data.ts';
import { startRedis } from '../helpers/redis.ts';
import type { TestRedis } from '../helpers/redis.ts';

const ROUNDS = Number(process.env['FAULT_ROUNDS'] ?? 3);
const SEED = Number(process.env['FAULT_SEED'] ?? Date.now() % 1_000_000);
/** Thirty rounds make the 10,000 flips of each kind. */
const FLIPS = Math.ceil((ROUNDS * 10_000) / 30);
const BULK_KEYS = Array.from({ length: 15_000 }, (_, at) => `bulk:${at}`);
const script = join(fileURLToPath(new URL('..', import.meta.url)), 'helpers/import-process.ts');

/** A small generator, so that a seed repeats a failed run. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

async function outcomeOf(
  port: number,
  file: string,
  options: ImportFileOptions,
): Promise<SuiteError | undefined> {
  try {
    await importFile(port, file, options);
    return undefined;
  } catch (error) {
    assert.ok(error instanceof SuiteError, String(error));
    return error;
  }
}

test(`SN-10 ${FLIPS} files with one byte flipped are refused before the first key (FAULT_SEED ${SEED})`, async (t) => {
  console.log(`FAULT_SEED=${SEED} FAULT_ROUNDS=${ROUNDS}`);
  const random = randomOf(SEED);
  const source = await startRedis(t);
  await fillEveryEncoding(source.port, [0]);
  await withRedis(source.port, (client) =>
    client.del('string:large', 'list:plain', 'set:large', 'zset:large', 'hash:large', 'hash:many-fields'),
  );
  const original = await readFile(await saveRdb(source));
  const target = await startRedis(t);
  const file = join(target.dir, 'flipped.rdb');
  for (let round = 0; round < FLIPS; round += 1) {
    const flipped = Buffer.from(original);
    const at = Math.floor(random() * flipped.length);
    flipped[at] = (flipped[at] ?? 0) ^ (1 + Math.floor(random() * 255));
    await writeFile(file, flipped);
    const refused = await outcomeOf(target.port, file, { giveUpAfterMs: 2000 });
    assert.equal(refused?.code, 'DATA_INVALID', `byte ${at}`);
  }
  assert.deepEqual(await keyCounts(target.port), {});
});

test(`SN-15 ${FLIPS} files with one byte flipped behind a right checksum are refused as a whole or are harmless (FAULT_SEED ${SEED})`, async (t) => {
  const random = randomOf(SEED + 1);
  const source = await startRedis(t);
  await fillEveryEncoding(source.port, [0]);
  await withRedis(source.port, (client) =>
    client.del(
      'string:large',
      'list:plain',
      'set:large',
      'zset:large',
      'hash:large',
      'hash:many-fields',
      'stream',
    ),
  );
  const original = await readFile(await saveRdb(source));
  const target = await startRedis(t, { args: ['--sanitize-dump-payload', 'yes'] });
  const { pid } = target;
  const file = join(target.dir, 'flipped.rdb');
  const counts = { refused: 0, taken: 0 };
  for (let round = 0; round < FLIPS; round += 1) {
    const flipped = Buffer.from(original);
    const at = 9 + Math.floor(random() * (flipped.length - 17));
    flipped[at] = (flipped[at] ?? 0) ^ (1 + Math.floor(random() * 255));
    Crc64.redis()
      .update(flipped, 0, flipped.length - 8)
      .writeTo(flipped, flipped.length - 8);
    await writeFile(file, flipped);
    const refused = await outcomeOf(target.port, file, { giveUpAfterMs: 2000, runId: `flip-${round}` });
    if (refused === undefined) {
      counts.taken += 1;
      // Whatever was taken has to be readable, too.
      await dumpAll(target.port);
    } else {
      counts.refused += 1;
      assert.deepEqual(await keyCounts(target.port), {}, `byte ${at}: ${refused.message}`);
    }
    await withRedis(target.port, async (client) => {
      await client.flushall();
      await client.call('FUNCTION', 'FLUSH');
    });
  }
  assert.equal(target.pid, pid);
  t.diagnostic(JSON.stringify(counts));
  assert.ok(counts.refused > 0 && counts.taken > 0);
});

/** One life of a process that imports; true when it came to the end. */
async function live(
  port: number,
  file: string,
  mode: readonly string[],
  killAfterMs: number,
): Promise<boolean> {
  const child = spawn(process.execPath, ['--conditions=source', script, String(port), file, ...mode], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  let isDone = false;
  let isTimed = false;
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === 'restoring' && !isTimed) {
      isTimed = true;
      setTimeout(() => child.kill('SIGKILL'), killAfterMs).unref();
    }
    isDone ||= line.startsWith('done');
  }
  await exited;
  return isDone;
}

async function bigFile(source: TestRedis): Promise<string> {
  await fillEveryEncoding(source.port, [0, 3]);
  await fillBulk(source.port, 15_000, 200);
  return saveRdb(source);
}

test(`SN-19 killed ${ROUNDS} times at random points, an import goes on where it was and ends as a clean one (FAULT_SEED ${SEED})`, async (t) => {
  const random = randomOf(SEED + 2);
  const source = await startRedis(t);
  const file = await bigFile(source);
  const expected = await dumpAll(source.port);
  const target = await startRedis(t);
  const modes = [
    ['failIfNotEmpty', 'never'],
    ['replace', 'never'],
    ['exact', 'never'],
    ['exact', 'always'],
  ] as const;
  let kills = 0;
  for (let round = 0; kills < ROUNDS; round += 1) {
    const [policy, staging] = modes[round % modes.length] ?? modes[0];
    await withRedis(target.port, async (client) => {
      await client.flushall();
      await client.call('FUNCTION', 'FLUSH');
      if (policy === 'exact') await client.mset('not in the snapshot', 1, 'string:int', 1);
    });
    while (!(await live(target.port, file, [policy, staging], Math.floor(random() * 400)))) kills += 1;
    assert.deepEqual(await dumpAll(target.port), expected, `${policy} ${staging}`);
  }
});

test('SN-15 an import into an empty Redis that is cancelled leaves nothing, and spares what others wrote meanwhile', async (t) => {
  const source = await startRedis(t);
  const file = await bigFile(source);
  const target = await startRedis(t);
  const cancel = new AbortController();
  const failure = await outcomeOf(target.port, file, {
    signal: cancel.signal,
    onProgress: ({ phase, restored }) => {
      if (phase !== 'data' || Number(restored) === 0 || cancel.signal.aborted) return;
      void withRedis(target.port, (client) => client.set('of somebody else', 1));
      cancel.abort('cancelled');
    },
  });
  assert.equal(failure?.code, 'STOPPED');
  await sleep(200);
  assert.deepEqual(await keyCounts(target.port), { 0: 1 });
});

/** Writes as somebody else what the snapshot will restore, wherever it has not yet; gives the keys that were free. */
async function takeKeys(port: number): Promise<readonly string[]> {
  return withRedis(port, async (client) => {
    const answers = await Promise.all(BULK_KEYS.map((key) => client.set(key, 'mine', 'NX')));
    return BULK_KEYS.filter((_, at) => answers[at] === 'OK');
  });
}

/** Keys of the snapshot that are there; nothing of the import may be. */
async function keysLeft(port: number): Promise<readonly string[]> {
  const values = await withRedis(port, (client) => client.mget(BULK_KEYS));
  assert.ok(values.every((value) => value === 'mine' || value === null));
  return BULK_KEYS.filter((_, at) => values[at] === 'mine');
}

/** An import over a slow link into an empty Redis, where somebody else writes some of its keys meanwhile. */
async function contested(t: TestContext, options: ImportFileOptions = {}) {
  const source = await startRedis(t);
  const file = await bigFile(source);
  const target = await startRedis(t);
  const proxy = await startFaultProxy(t, target);
  proxy.set({ kind: 'trickle', bytesPerSecond: 100_000 });
  let taking: Promise<readonly string[]> | undefined;
  const outcome = outcomeOf(proxy.port, file, {
    ...options,
    onProgress: ({ phase }) => {
      if (phase === 'data') taking ??= takeKeys(target.port);
    },
  });
  const assertSpared = async (): Promise<void> => {
    const taken = (await taking) ?? [];
    assert.ok(taken.length > 0);
    assert.deepEqual(await keysLeft(target.port), taken);
  };
  return { file, target, proxy, outcome, assertSpared };
}

test('SN-15 a key that somebody else writes meanwhile ends an import into an empty Redis, and stays', async (t) => {
  const { outcome, assertSpared } = await contested(t);
  assert.equal((await outcome)?.code, 'CONFLICT');
  await assertSpared();
});

test('SN-15 keys of somebody else stay, too, where taking an import back is cut short and done by a later start', async (t) => {
  const { file, target, proxy, outcome, assertSpared } = await contested(t, { giveUpAfterMs: 500 });
  const phase = (): Promise<unknown> =>
    withRedis(target.port, async (client) => {
      const text = await client.get('iotedge-redis:redis-snapshot:test:import');
      return text === null ? undefined : (JSON.parse(text) as { phase: unknown }).phase;
    });
  for (const deadline = Date.now() + 60_000; (await phase()) !== 'undo';) {
    assert.ok(Date.now() < deadline, 'it is taken back');
    await sleep(5);
  }
  proxy.set({ kind: 'refuse' });
  proxy.breakAll();
  assert.ok((await outcome) instanceof SuiteError);
  assert.equal(await phase(), 'undo');
  assert.equal((await outcomeOf(target.port, file, {}))?.code, 'STOPPED');
  await assertSpared();
});

test('an import outlives a lost link, and begins again when Redis comes back without what it had restored', async (t) => {
  const source = await startRedis(t);
  const file = await bigFile(source);
  const expected = await dumpAll(source.port);
  const target = await startRedis(t);
  const proxy = await startFaultProxy(t, target);
  let breaks = 0;
  const result = await importFile(proxy.port, file, {
    onProgress: ({ phase, restored }) => {
      if (phase !== 'data') return;
      if (breaks < 3) proxy.breakAll();
      else if (breaks === 3 && Number(restored) > 1000) void target.restart();
      else return;
      breaks += 1;
    },
  });
  assert.ok(breaks >= 4);
  assert.equal(result['restored'], expected.size);
  assert.deepEqual(await dumpAll(target.port), expected);
});
