/**
 * Export of half a million mixed keys to Blob Storage (Azurite) by redis-snapshot, from the call of the method to the state `done`
 * (manifest written, retention applied), against `redis-cli --rdb` to a file on the local disk; the server's delay before a disk-less
 * transfer is 0 for both. The module runs as its image does: the bundle, with the image's flags, in a process of its own. Beside
 * them the upload of the same blocks alone, which is Azurite's own limit (it computes the CRC64 of each block in JavaScript, on the cores
 * that the server's fork works on), and the module against a server with the default delay of 5 s. Then the import of that snapshot (snapshot-import.ts).
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { systemClock } from '@iotedge-redis/common';
import { BlobContainer, Patience } from '@iotedge-redis/common/blob';
import { bundle } from '../build/bundle.ts';
import { BlockUpload, blockBytes } from '../modules/redis-snapshot/src/export/block-upload.ts';
import { startAzurite } from '../test/helpers/azurite.ts';
import type { TestAzurite } from '../test/helpers/azurite.ts';
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
    const { result } = await exporting.run('Export', null);
    const megabytes = Number(result['bytes']) / 1e6;
    const figures = (seconds: number): Figures => ({
      'MB/s': megabytes / seconds,
      'keys/s': KEYS / seconds,
      seconds,
    });
    const timed = async (work: () => Promise<unknown>): Promise<Figures> => {
      const startedAt = performance.now();
      await work();
      return figures((performance.now() - startedAt) / 1000);
    };
    const contender = (name: string, delay: number): Contender => ({
      name,
      pid: () => exporting.pid,
      async run() {
        await client.config('SET', DELAY, delay);
        return figures((await exporting.run('Export', null)).seconds);
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
      name: 'the same blocks into Azurite',
      pid: () => azurite.pid,
      run: () => timed(() => uploadBlocks(azurite, content)),
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

/** As an export does, without anything else beside it. */
async function uploadBlocks(azurite: TestAzurite, content: Buffer): Promise<void> {
  const place = { endpoint: azurite.endpoint, container: azurite.container };
  const sas = azurite.sas({ permissions: 'rw' });
  const container = new BlobContainer({ place, sas: () => sas, stallTimeoutMs: 20_000 });
  const { signal } = new AbortController();
  const upload = new BlockUpload({
    ...{ container, blob: 'bare', signal, onUploaded: () => undefined },
    patience: new Patience({ signal, clock: systemClock, maxPauseMs: 1000, onWaiting: () => undefined }),
  });
  for (let index = 0, offset = 0; offset < content.length; index += 1) {
    const block = content.subarray(offset, offset + blockBytes(index));
    offset += block.length;
    await upload.add(block);
  }
  await container.commit('bare', await upload.finish(), {}, signal);
}
