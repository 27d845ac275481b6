/**
 * A CSV of a million rows from Blob Storage (Azurite) into Redis by redis-sync, against `awk | redis-cli --pipe` from the same
 * file on the local disk. Meanwhile a reader waits for single keys, by GetItem of a redis-client and by a bare GET. BENCH_ROWS
 * sets another number of rows, as in 10000000 for the memory of a large import. The modules run as their images do: the bundle,
 * with the image's flags, in a process of its own.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { Redis } from 'ioredis';
import { bundle } from '../build/bundle.ts';
import { findProgram } from '../local-edge/src/services/find-server.ts';
import { CONTAINER, startAzurite } from '../test/helpers/azurite.ts';
import { startRedis } from '../test/helpers/redis.ts';
import { compare, row } from './harness.ts';
import type { Benchmark, Contender, Figures, Row } from './harness.ts';
import { startBenchModule } from './module-bed.ts';
import type { BenchModule } from './module-bed.ts';
import { usageOf } from './process-usage.ts';
import { percentile } from './statistics.ts';

const ROWS = Number(process.env['BENCH_ROWS'] ?? 1_000_000);
const SMALL_ROWS = 100_000;
/** A status call is work for the module, too. */
const STATUS_PAUSE_MS = 25;
const READ_PAUSE_MS = 2;
const RANGE_BYTES = 2 * 1024 * 1024;

/** As a user would write it; lengths by bytes, since awk counts them so for ASCII. */
const AWK =
  'BEGIN{ORS=""}{i=index($0,":");k=substr($0,1,i-1);v=substr($0,i+1);print "*3\\r\\n$3\\r\\nSET\\r\\n$" length(k) "\\r\\n" k "\\r\\n$" length(v) "\\r\\n" v "\\r\\n"}';

export const benchmark: Benchmark = async ({ rounds, progress }) => {
  const folder = mkdtempSync(join(tmpdir(), 'bench-sync-'));
  const file = join(folder, 'rows.csv');
  progress('writing the file');
  await writeRows(file, ROWS);
  await writeRows(join(folder, 'small.csv'), SMALL_ROWS);
  const main = await bundle('redis-sync');
  const readerMain = await bundle('redis-client');
  const [azurite, redis, program] = await Promise.all([
    startAzurite(),
    startRedis(undefined),
    findProgram('redis'),
  ]);
  const client = new Redis(redis.port, '127.0.0.1');
  await azurite.upload('rows.csv', await readFile(file));
  await azurite.upload('small.csv', await readFile(join(folder, 'small.csv')));

  const endpoint = `127.0.0.1:${redis.port}`;
  const items = await startBenchModule({
    name: 'redis-client',
    main: readerMain,
    environment: { REDIS_ENDPOINT: endpoint },
  });
  const startSync = (blob: string): Promise<BenchModule> =>
    startBenchModule({
      name: 'redis-sync',
      main,
      environment: {
        INSTANCE_NAME: blob.replace('.', '-'),
        REDIS_ENDPOINT: endpoint,
        BLOB_ENDPOINT: azurite.endpoint,
        BLOB_CONTAINER_NAME: CONTAINER,
        BLOB_FILE_NAME: blob,
        BLOB_SAS_TOKEN: azurite.sas(),
      },
    });

  const small = await startSync('small.csv');
  await imported(small);
  const smallMb = usageOf(small.pid)?.peakRssMb ?? Number.NaN;
  await small.stop();

  const large = await startSync('rows.csv');
  await imported(large);
  const folders = program.folders.join(':');
  const ours: Contender = {
    name: 'redis-sync',
    pid: () => large.pid,
    async run() {
      await client.flushall();
      return timed(client, items, async () => {
        await large.call('Sync');
        await imported(large);
      });
    },
  };
  const pipe: Contender = {
    name: 'awk | redis-cli --pipe',
    async run() {
      await client.flushall();
      return timed(client, items, async () => {
        const shell = spawn('sh', ['-c', `awk '${AWK}' '${file}' | redis-cli -p ${redis.port} --pipe`], {
          stdio: ['ignore', 'ignore', 'inherit'],
          env: { ...process.env, ...program.env, PATH: `${folders}:${process.env['PATH'] ?? ''}` },
        });
        const [code] = (await once(shell, 'exit')) as [number];
        if (code !== 0) throw new Error(`redis-cli ended with ${code}`);
      });
    },
  };
  const size = (await stat(file)).size;
  const raw: Contender = {
    name: 'download alone',
    async run() {
      const startedAt = performance.now();
      for (let from = 0; from < size; from += RANGE_BYTES) {
        const to = Math.min(size, from + RANGE_BYTES) - 1;
        const answer = await fetch(`${azurite.endpoint}/${CONTAINER}/rows.csv?${azurite.sas()}`, {
          headers: { range: `bytes=${from}-${to}`, 'x-ms-version': '2024-11-04' },
        });
        if (answer.status !== 206) throw new Error(`Azurite answers ${answer.status}`);
        await answer.arrayBuffer();
      }
      return { rowsPerSecond: ROWS / ((performance.now() - startedAt) / 1000) };
    },
  };
  try {
    const [mine, theirs, download] = await compare([ours, pipe, raw], {
      warmups: 1,
      rounds,
      onProgress: progress,
    });
    if (mine === undefined || theirs === undefined || download === undefined) throw new Error('no figures');
    const rows: Row[] = [
      row('redis-sync', 'rowsPerSecond', 'rows/s', mine, [theirs]),
      row(pipe.name, 'rowsPerSecond', 'rows/s', theirs),
      // What Azurite gives at most, one range after the other: the import can be no faster.
      row(raw.name, 'rowsPerSecond', 'rows/s', download),
      row('GetItem p99 during redis-sync', 'itemP99', 'ms', mine, [theirs]),
      row(`GetItem p99 during ${pipe.name}`, 'itemP99', 'ms', theirs),
      row('GET p99 during redis-sync', 'getP99', 'ms', mine, [theirs]),
      row(`GET p99 during ${pipe.name}`, 'getP99', 'ms', theirs),
    ];
    const one = row(`redis-sync peak RSS at ${SMALL_ROWS} rows`, 'mb', 'MB', {
      contender: 'small',
      rounds: [{ mb: smallMb }],
      usage: undefined,
    });
    return [...rows, one];
  } finally {
    await Promise.all([large.stop(), items.stop()]);
    client.disconnect();
    await Promise.all([azurite.stop(), redis.stop()]);
    rmSync(folder, { recursive: true, force: true });
  }
};

/** Resolves at the end of the import that the module is at. */
async function imported(module: BenchModule): Promise<void> {
  for (const deadline = Date.now() + 300_000; Date.now() < deadline;) {
    await pause(STATUS_PAUSE_MS);
    const status = (await module.call('SyncStatus')) as { readonly state?: string };
    if (status.state === 'done') return;
    if (status.state === 'failed') throw new Error(`the import failed: ${JSON.stringify(status)}`);
  }
  throw new Error('the import does not come to its end');
}

/** Rows per second of the load, and what a reader of single keys waits meanwhile, in the one way and the other. */
async function timed(client: Redis, items: BenchModule, load: () => Promise<void>): Promise<Figures> {
  const state = { isOver: false };
  const waitFor = async (read: Promise<unknown>, waits: number[]): Promise<void> => {
    const at = performance.now();
    await read;
    waits.push(performance.now() - at);
    await pause(READ_PAUSE_MS);
  };
  const itemWaits: number[] = [];
  const getWaits: number[] = [];
  const reader = (async () => {
    while (!state.isOver) {
      await waitFor(items.call('GetItem', 'key1'), itemWaits);
      await waitFor(client.get('key1'), getWaits);
    }
  })();
  const startedAt = performance.now();
  await load();
  const seconds = (performance.now() - startedAt) / 1000;
  state.isOver = true;
  await reader;
  const keys = await client.dbsize();
  if (keys < ROWS) throw new Error(`only ${keys} of ${ROWS} keys are there`);
  return {
    rowsPerSecond: ROWS / seconds,
    itemP99: percentile(itemWaits, 99),
    getP99: percentile(getWaits, 99),
  };
}

async function writeRows(path: string, count: number): Promise<void> {
  const out = createWriteStream(path);
  for (let from = 0; from < count; from += 10_000) {
    const lines = Array.from(
      { length: Math.min(10_000, count - from) },
      (_, at) => `key${from + at}:value-${String(from + at).padStart(24, '.')}\n`,
    );
    if (!out.write(lines.join(''))) await once(out, 'drain');
  }
  out.end();
  await finished(out);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
