/** A redis-snapshot as its image starts it, with what the benchmarks of its methods share. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { findProgram } from '../local-edge/src/services/find-server.ts';
import type { TestAzurite } from '../test/helpers/azurite.ts';
import { startBenchModule } from './module-bed.ts';

/** Asking costs the module some of its time; when it was done it says itself. */
const ASK_MS = 100;

export interface FinishedRun {
  readonly result: Record<string, unknown>;
  /** From the call of the method to the moment in which the run was done, by the one clock of this machine. */
  readonly seconds: number;
}

export interface SnapshotModule {
  readonly pid: number | undefined;
  /** Calls the method and resolves once the state of its run is `done`. */
  run(method: 'Export' | 'Import', payload: unknown): Promise<FinishedRun>;
  stop(): Promise<void>;
}

/** Starts the bundle `main` as its image does; the first `run` waits until it has what a run needs. */
export async function startSnapshotModule(options: {
  readonly main: string;
  /** For its state; a folder of its own. */
  readonly folder: string;
  readonly redisPort: number;
  readonly azurite: TestAzurite;
}): Promise<SnapshotModule> {
  const { main, folder, redisPort, azurite } = options;
  const module = await startBenchModule({
    name: 'redis-snapshot',
    main,
    environment: {
      STATE_DIR: join(folder, 'state'),
      REDIS_ENDPOINT: `127.0.0.1:${redisPort}`,
      BLOB_ENDPOINT: azurite.endpoint,
      BLOB_CONTAINER_NAME: azurite.container,
      BLOB_SAS_TOKEN: azurite.sas({ permissions: 'rcwdl' }),
      RETAIN_SNAPSHOTS: '1',
    },
  });
  const call = async (method: string, payload: unknown): Promise<Record<string, unknown>> =>
    (await module.call(method, payload)) as Record<string, unknown>;
  const begin = async (method: string, payload: unknown): Promise<string> => {
    for (const deadline = Date.now() + 60_000; ;) {
      const { runId } = await call(method, payload).catch(() => ({ runId: undefined }));
      if (typeof runId === 'string') return runId;
      if (Date.now() > deadline) throw new Error('the module does not start');
      await pause(50);
    }
  };
  return {
    pid: module.pid,
    async run(method, payload) {
      const calledAt = Date.now();
      const runId = await begin(method, payload);
      for (let openAt = calledAt; ;) {
        const askedAt = Date.now();
        const { state, result, message, finishedAt } = await call('Operation', { runId });
        if (state === 'done') {
          const doneAt = Date.parse(String(finishedAt));
          // It was not done yet when it was asked before.
          if (!(doneAt >= openAt && doneAt <= Date.now()))
            throw new Error(`${method} was not done at ${String(finishedAt)}`);
          return { result: result as Record<string, unknown>, seconds: (doneAt - calledAt) / 1000 };
        }
        if (state === 'failed') throw new Error(`${method} failed: ${String(message)}`);
        openAt = askedAt;
        await pause(ASK_MS);
      }
    },
    stop: () => module.stop(),
  };
}

/** The redis-cli that belongs to the server that is found. */
export async function spawnRedisCli(
  args: readonly string[],
  stdin: 'ignore' | number = 'ignore',
): Promise<ChildProcess> {
  const program = await findProgram('redis');
  return spawn('redis-cli', [...args], {
    stdio: [stdin, 'ignore', 'ignore'],
    env: {
      ...process.env,
      ...program.env,
      PATH: `${program.folders.join(':')}:${process.env['PATH'] ?? ''}`,
    },
  });
}

/** Resolves when the program has ended well. */
export async function ended(child: ChildProcess): Promise<void> {
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`${child.spawnfile} ended with ${code}`);
}

/** Strings of 20 to 500 bytes, hashes, sets, sorted sets and lists, some with an expiry. */
export async function fillSnapshotData(client: Redis, keys: number): Promise<void> {
  for (let from = 0; from < keys; from += 5000) {
    const pipeline = client.pipeline();
    for (let at = from; at < Math.min(keys, from + 5000); at += 1) {
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
