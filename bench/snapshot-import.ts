/**
 * Import of a snapshot by redis-snapshot into an empty Redis, from the call of the method to the state `done`, against `redis-cli
 * --pipe` of the same entries as RESTORE commands, and against a redis-server that loads the same file when it starts, from the start of
 * its process to its first answer. The module reads the file twice, since it touches no key before the checksum was right, and has
 * the server look into each value (sanitize-dump-payload); neither of the others does.
 */
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { startRedis } from '../test/helpers/redis.ts';
import type { TestRedis } from '../test/helpers/redis.ts';
import { compare, row } from './harness.ts';
import type { CompareOptions, Contender, Figures, Row } from './harness.ts';
import { usageOf } from './process-usage.ts';
import type { Usage } from './process-usage.ts';
import { ended, spawnRedisCli } from './snapshot-bed.ts';
import type { SnapshotModule } from './snapshot-bed.ts';

const WATCH_MS = 20;

export interface ImportBenchOptions extends CompareOptions {
  readonly module: SnapshotModule;
  /** The empty server that `module` imports into. */
  readonly redis: TestRedis;
  /** Holds what the snapshot holds. */
  readonly source: Redis;
  readonly keys: number;
  /** The snapshot's file, and a folder for more. */
  readonly rdb: Buffer;
  readonly folder: string;
}

export async function importRows(options: ImportBenchOptions): Promise<Row[]> {
  const { module, redis, source, keys, folder, rdb } = options;
  const commands = join(folder, 'restore.resp');
  await writeRestoreCommands(source, commands);
  const target = new Redis(redis.port, '127.0.0.1');
  const figuresOf = (seconds: number): Figures => ({ 'keys/s': keys / seconds, seconds });
  const timed = async (work: () => Promise<unknown>): Promise<Figures> => {
    const startedAt = performance.now();
    await work();
    return figuresOf((performance.now() - startedAt) / 1000);
  };
  const mine: Contender = {
    name: 'redis-snapshot Import',
    pid: () => module.pid,
    async run() {
      await target.flushall();
      const { seconds } = await module.run('Import', { policy: 'failIfNotEmpty' });
      await mustHold(target, keys);
      return figuresOf(seconds);
    },
  };
  const cliUsage = new UsageSum();
  const pipe: Contender = {
    name: 'redis-cli --pipe',
    async run() {
      await target.flushall();
      const input = openSync(commands, 'r');
      try {
        const figures = await timed(async () => {
          const cli = await spawnRedisCli(['-p', String(redis.port), '--pipe'], input);
          await cliUsage.of(cli.pid, ended(cli));
        });
        await mustHold(target, keys);
        return figures;
      } finally {
        closeSync(input);
      }
    },
  };
  const serverUsage = new UsageSum();
  const dir = join(folder, 'loading');
  await mkdir(dir);
  writeFileSync(join(dir, 'dump.rdb'), rdb);
  const load: Contender = {
    name: 'redis-server loading the file',
    async run() {
      let server: TestRedis | undefined;
      const figures = await timed(async () => {
        server = await startRedis(undefined, { dir, args: ['--dbfilename', 'dump.rdb'] });
        await loaded(server.port, keys);
      });
      serverUsage.add(usageOf(server?.pid));
      await server?.stop();
      return figures;
    },
  };
  try {
    const [ours, piped, loading] = await compare([mine, pipe, load], options);
    if (ours === undefined || piped === undefined || loading === undefined) throw new Error('no figures');
    return [
      row(mine.name, 'keys/s', 'keys/s', ours, [piped, loading]),
      { ...row(pipe.name, 'keys/s', 'keys/s', piped), ...cliUsage.figures(options.warmups) },
      { ...row(load.name, 'keys/s', 'keys/s', loading), ...serverUsage.figures(options.warmups) },
    ];
  } finally {
    target.disconnect();
  }
}

/** What processes took that ended, each as it was last seen. */
class UsageSum {
  readonly #seen: Usage[] = [];

  add(usage: Usage | undefined): void {
    if (usage !== undefined) this.#seen.push(usage);
  }

  /** Looks at the process until `end`; its last few milliseconds are missed. */
  async of(pid: number | undefined, end: Promise<void>): Promise<void> {
    let last: Usage | undefined;
    const timer = setInterval(() => {
      const usage = usageOf(pid);
      // A process that has ended and was not waited for yet has no memory any more.
      if (usage !== undefined && Number.isFinite(usage.peakRssMb)) last = usage;
    }, WATCH_MS);
    await end.finally(() => clearInterval(timer));
    this.add(last);
  }

  /** Of the rounds that count, in the form of a row. */
  figures(warmups: number): Pick<Row, 'rssMB' | 'cpuSeconds'> {
    const counted = this.#seen.slice(warmups);
    if (counted.length === 0) return { rssMB: null, cpuSeconds: null };
    return {
      rssMB: Number(Math.max(...counted.map(({ peakRssMb }) => peakRssMb)).toFixed(1)),
      cpuSeconds: Number(counted.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0).toFixed(2)),
    };
  }
}

/** The entries of a server as RESTORE commands in the protocol's form, their expiry as a point in time. */
async function writeRestoreCommands(source: Redis, path: string): Promise<void> {
  const file = openSync(path, 'w');
  try {
    for await (const found of source.scanBufferStream({ count: 2000 })) {
      const names = found as Buffer[];
      const pipeline = source.pipeline();
      for (const name of names) pipeline.dumpBuffer(name).pexpiretime(name);
      const replies = (await pipeline.exec()) ?? [];
      const commands = names.map((name, index) => {
        const payload = replies[2 * index]?.[1];
        if (!Buffer.isBuffer(payload)) throw new Error('a key went away');
        const expiry = Math.max(0, Number(replies[2 * index + 1]?.[1]));
        const parts = [
          Buffer.from('RESTORE'),
          name,
          Buffer.from(String(expiry)),
          payload,
          Buffer.from('ABSTTL'),
        ];
        return Buffer.concat([
          Buffer.from(`*${parts.length}\r\n`),
          ...parts.flatMap((part) => [Buffer.from(`$${part.length}\r\n`), part, Buffer.from('\r\n')]),
        ]);
      });
      writeSync(file, Buffer.concat(commands));
    }
  } finally {
    closeSync(file);
  }
}

/** The module's own keys may be there too. */
async function mustHold(client: Redis, keys: number): Promise<void> {
  const size = await client.dbsize();
  if (size < keys) throw new Error(`${size} keys arrived of ${keys}`);
}

async function loaded(port: number, keys: number): Promise<void> {
  const client = new Redis(port, '127.0.0.1', { enableReadyCheck: false });
  try {
    while ((await client.ping().catch(() => '')) !== 'PONG') await pause(5);
    await mustHold(client, keys);
  } finally {
    client.disconnect();
  }
}
