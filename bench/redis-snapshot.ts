/**
 * Export of half a million mixed keys to Blob Storage (Azurite) by redis-snapshot, from the call of the method to the state `done`
 * (manifest written, retention applied), against `redis-cli --rdb` to a file on the local disk; the server's delay before a disk-less
 * transfer is 0 for both. The module runs as its image does: the bundle, with the image's flags, in a process of its own. Beside
 * them the bare upload of the same bytes, which is Azurite's own limit, and the module against a server with the default delay of
 * 5 s. Then the import of that snapshot (snapshot-import.ts).
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { bundle } from '../build/bundle.ts';
import { startAzurite } from '../test/helpers/azurite.ts';
import { startRedis } from '../test/helpers/redis.ts';
import { compare, row } from './harness.ts';
import type { Benchmark, Contender, Figures, Row } from './harness.ts';
import { ended, fillSnapshotData, spawnRedisCli, startSnapshotModule } from './snapshot-bed.ts';
import type { SnapshotModule } from './snapshot-bed.ts';
import { importRows } from './snapshot-import.ts';

const KEYS = Number(process.env['BENCH_KEYS'] ?? 500_000);
const DELAY = 'repl-diskless-sync-delay';

export const benchmark: Benchmark = async ({ rounds, progress }) => {
  const folder = mkdtempSync(join(tmpdir(), 'bench-snapshot-'));
  const main = await bundle('redis-snapshot');
  const [azurite, redis, empty] = await Promise.all([
    startAzurite(),
    startRedis(undefined),
    startRedis(undefined),
  ]);
  const client = new Redis(redis.port, '127.0.0.1');
  const modules: SnapshotModule[] = [];
  const start = async (name: string, redisPort: number): Promise<SnapshotModule> => {
    const own = join(folder, name);
    mkdirSync(own);
    const module = await startSnapshotModule({ main, folder: own, redisPort, azurite });
    modules.push(module);
    return module;
  };
  try {
    progress('filling Redis');
    await fillSnapshotData(client, KEYS);
    const options = { warmups: 1, rounds, onProgress: progress };
    const exporting = await start('source', redis.port);
    const first = await exporting.run('Export', null);
    const megabytes = Number(first['bytes']) / 1e6;
    const timed = async (work: () => Promise<unknown>): Promise<Figures> => {
      const startedAt = performance.now();
      await work();
      const seconds = (performance.now() - startedAt) / 1000;
      return { 'MB/s': megabytes / seconds, 'keys/s': KEYS / seconds, seconds };
    };
    const contender = (name: string, delay: number): Contender => ({
      name,
      pid: () => exporting.pid,
      async run() {
        await client.config('SET', DELAY, delay);
        return timed(() => exporting.run('Export', null));
      },
    });
    const cli: Contender = {
      name: 'redis-cli --rdb',
      async run() {
        await client.config('SET', DELAY, 0);
        return timed(async () =>
          ended(await spawnRedisCli(['-p', String(redis.port), '--rdb', join(folder, 'cli.rdb')])),
        );
      },
    };
    const content = await newestFile();
    const azuriteAlone: Contender = {
      name: 'the same bytes into Azurite',
      run: () => timed(() => azurite.upload('bare', content)),
    };
    const [mine, delayed, theirs, bare] = await compare(
      [
        contender('redis-snapshot Export', 0),
        contender(`redis-snapshot Export, ${DELAY} 5`, 5),
        cli,
        azuriteAlone,
      ],
      options,
    );
    if (mine === undefined || delayed === undefined || theirs === undefined || bare === undefined)
      throw new Error('no figures');
    const exported: Row[] = [
      row(mine.contender, 'MB/s', 'MB/s', mine, [theirs]),
      row(delayed.contender, 'MB/s', 'MB/s', delayed, [theirs]),
      row(theirs.contender, 'MB/s', 'MB/s', theirs),
      row(bare.contender, 'MB/s', 'MB/s', bare),
    ];
    await exporting.stop();
    const imported = await importRows({
      ...options,
      ...{ module: await start('target', empty.port), redis: empty, source: client, keys: KEYS, folder },
      rdb: await newestFile(),
    });
    return [...exported, ...imported];
  } finally {
    for (const module of modules) await module.stop();
    client.disconnect();
    await Promise.all([azurite.stop(), redis.stop(), empty.stop()]);
    rmSync(folder, { recursive: true, force: true });
  }

  async function newestFile(): Promise<Buffer> {
    const name = (await azurite.names()).filter((each) => each.endsWith('.rdb')).sort();
    return azurite.download(name.at(-1) ?? '');
  }
};
