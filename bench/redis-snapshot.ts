/**
 * Export of half a million mixed keys to Blob Storage (Azurite) by redis-snapshot, against `redis-cli --rdb` to a file on the local
 * disk; the server's delay before a disk-less transfer is 0 for both. The module runs as its image does: the bundle, with the
 * image's flags, in a process of its own. Beside them the bare upload of the same bytes, which is Azurite's own limit, and the module
 * against a server with the default delay of 5 s.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { bundle } from '../build/bundle.ts';
import { findProgram } from '../local-edge/src/services/find-server.ts';
import { startAzurite } from '../test/helpers/azurite.ts';
import { freePort, startRedis } from '../test/helpers/redis.ts';
import { compare, row } from './harness.ts';
import type { Benchmark, Contender, Figures, Row } from './harness.ts';
import { imageCommand } from './image-command.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const KEYS = Number(process.env['BENCH_KEYS'] ?? 500_000);
const DELAY = 'repl-diskless-sync-delay';

export const benchmark: Benchmark = async ({ rounds, progress }) => {
  const folder = mkdtempSync(join(tmpdir(), 'bench-snapshot-'));
  const main = await bundle('redis-snapshot');
  const { environment, flags } = imageCommand(join(root, 'modules/redis-snapshot/Dockerfile.amd64'));
  const [azurite, redis, program] = await Promise.all([
    startAzurite(),
    startRedis(undefined),
    findProgram('redis'),
  ]);
  const client = new Redis(redis.port, '127.0.0.1');
  progress('filling Redis');
  await fill(client);
  const port = await freePort();
  const child = spawn(process.execPath, [...flags, main], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      ...environment,
      PATH: process.env['PATH'],
      NODE_COMPILE_CACHE: join(folder, 'compiled'),
      HTTP_PORT: String(port),
      HTTP_HOST: '127.0.0.1',
      STATE_DIR: join(folder, 'state'),
      REDIS_ENDPOINT: `127.0.0.1:${redis.port}`,
      BLOB_ENDPOINT: azurite.endpoint,
      BLOB_CONTAINER_NAME: azurite.container,
      BLOB_SAS_TOKEN: azurite.sas({ permissions: 'rcwdl' }),
      RETAIN_SNAPSHOTS: '1',
    },
  });
  const call = async (method: string, payload: unknown): Promise<Record<string, unknown>> => {
    const answer = await fetch(`http://127.0.0.1:${port}/methods/${method}`, {
      method: 'POST',
      body: JSON.stringify(payload),
    });
    const reply = (await answer.json()) as Record<string, unknown>;
    return (reply['payload'] ?? reply) as Record<string, unknown>;
  };
  const whenReady = async (): Promise<string> => {
    for (const deadline = Date.now() + 60_000; ;) {
      const { runId } = await call('Export', null).catch(() => ({ runId: undefined }));
      if (typeof runId === 'string') return runId;
      if (Date.now() > deadline) throw new Error('the module does not start');
      await pause(50);
    }
  };
  const done = async (runId: string): Promise<Record<string, unknown>> => {
    for (;;) {
      const { state, result, message } = await call('Operation', { runId });
      if (state === 'done') return result as Record<string, unknown>;
      if (state === 'failed') throw new Error(`the export failed: ${String(message)}`);
      await pause(5);
    }
  };
  const first = await done(await whenReady());
  const megabytes = Number(first['bytes']) / 1e6;
  const timed = async (work: () => Promise<unknown>): Promise<Figures> => {
    const startedAt = performance.now();
    await work();
    const seconds = (performance.now() - startedAt) / 1000;
    return { 'MB/s': megabytes / seconds, 'keys/s': KEYS / seconds, seconds };
  };
  const exported: Contender = {
    name: 'redis-snapshot',
    pid: () => child.pid,
    async run() {
      await client.config('SET', DELAY, 0);
      return timed(async () => done(await whenReady()));
    },
  };
  const withDelay: Contender = {
    name: `redis-snapshot, ${DELAY} 5`,
    pid: () => child.pid,
    async run() {
      await client.config('SET', DELAY, 5);
      return timed(async () => done(await whenReady()));
    },
  };
  const cli: Contender = {
    name: 'redis-cli --rdb',
    async run() {
      await client.config('SET', DELAY, 0);
      return timed(async () => {
        const shell = spawn('redis-cli', ['-p', String(redis.port), '--rdb', join(folder, 'cli.rdb')], {
          stdio: ['ignore', 'ignore', 'ignore'],
          env: {
            ...process.env,
            ...program.env,
            PATH: `${program.folders.join(':')}:${process.env['PATH'] ?? ''}`,
          },
        });
        const [code] = (await once(shell, 'exit')) as [number];
        if (code !== 0) throw new Error(`redis-cli ended with ${code}`);
      });
    },
  };
  const content = await azurite.download((await azurite.names()).find((name) => name.endsWith('.rdb')) ?? '');
  const azuriteAlone: Contender = {
    name: 'the same bytes into Azurite',
    run: () => timed(() => azurite.upload('bare', content)),
  };
  try {
    const [mine, delayed, theirs, bare] = await compare([exported, withDelay, cli, azuriteAlone], {
      ...{ warmups: 1, rounds, onProgress: progress },
    });
    if (mine === undefined || delayed === undefined || theirs === undefined || bare === undefined)
      throw new Error('no figures');
    const rows: Row[] = [
      row(mine.contender, 'MB/s', 'MB/s', mine, [theirs]),
      row(delayed.contender, 'MB/s', 'MB/s', delayed, [theirs]),
      row(theirs.contender, 'MB/s', 'MB/s', theirs),
      row(bare.contender, 'MB/s', 'MB/s', bare),
    ];
    return rows;
  } finally {
    child.kill('SIGKILL');
    client.disconnect();
    await Promise.all([azurite.stop(), redis.stop()]);
    rmSync(folder, { recursive: true, force: true });
  }
};

/** Strings of 20 to 500 bytes, hashes, sets, sorted sets and lists, some with an expiry. */
async function fill(client: Redis): Promise<void> {
  for (let from = 0; from < KEYS; from += 5000) {
    const pipeline = client.pipeline();
    for (let at = from; at < Math.min(KEYS, from + 5000); at += 1) {
      const text = `${at}-`.repeat(4 + (at % 80));
      if (at % 10 < 6) pipeline.set(`string:${at}`, text);
      else if (at % 10 === 6) pipeline.hset(`hash:${at}`, { id: at, name: text, state: 'on' });
      else if (at % 10 === 7) pipeline.sadd(`set:${at}`, at, at + 1, at + 2);
      else if (at % 10 === 8) pipeline.zadd(`zset:${at}`, 1, 'a', 2, text);
      else pipeline.rpush(`list:${at}`, text, 'b', 'c');
      if (at % 7 === 0) pipeline.pexpire(`string:${at}`, 86_400_000);
    }
    await pipeline.exec();
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
