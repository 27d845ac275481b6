/**
 * A million JSON records of about 150 bytes, 3 partitions, 20,000 keys, from Apache Kafka into hashes of Redis with a notice, an entry
 * of the change stream and the position for each, against (a) the same client with nothing behind it, (b) Redis' own limit with the
 * same script, and (c) the original's shape. The module runs as its image does, in a process of its own.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { bundle } from '../build/bundle.ts';
import { startKafka } from '../test/helpers/kafka.ts';
import { freePort, startRedis } from '../test/helpers/redis.ts';
import { compare, row } from './harness.ts';
import type { Benchmark, Figures, Row, Series } from './harness.ts';
import { imageCommand } from './image-command.ts';
import { benchRecord, PARTITIONS } from './kafka-records.ts';
import { usageOf } from './process-usage.ts';
import { median } from './statistics.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const RECORDS = Number(process.env['BENCH_RECORDS'] ?? 1_000_000);
const SEED_RECORDS = Math.ceil(RECORDS / 50);
const TOPIC = 'bench';
const GROUP = 'bench';
const POLL_MS = 5;

export const benchmark: Benchmark = async ({ rounds, progress }) => {
  progress('building');
  const main = await bundle('kafka-ingest');
  const image = imageCommand(join(root, 'modules/kafka-ingest/Dockerfile.amd64'));
  const kafka = await startKafka(undefined);
  const redis = await startRedis(undefined);
  const control = new Redis({ port: redis.port, host: '127.0.0.1' });
  const children = new Set<ChildProcess>();
  const start = (
    file: string,
    args: readonly string[],
    flags: readonly string[],
    env: Record<string, string>,
  ) => {
    const child = spawn(process.execPath, [...flags, file, ...args], {
      env: { PATH: process.env['PATH'], ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.add(child);
    child.once('exit', () => children.delete(child));
    return child;
  };
  const figuresOf = async (name: string, args: readonly string[]): Promise<Figures> => {
    const child = start(join(root, 'bench', name), args, ['--conditions=source'], {});
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    await once(child, 'close');
    return JSON.parse(output) as Figures;
  };

  try {
    await kafka.createTopic(TOPIC, PARTITIONS);
    for (let from = 0; from < RECORDS; from += 50_000) {
      progress(`producing: ${from} of ${RECORDS}`);
      const length = Math.min(50_000, RECORDS - from);
      await kafka.produce(
        TOPIC,
        Array.from({ length }, (_, n) => benchRecord(from + n)),
        { perBatch: 6000 },
      );
    }
    const { clusterId } = await kafka.admin.describeCluster();
    const positions = Array.from(
      { length: PARTITIONS },
      (_, partition) => `iotedge-redis:kafka-ingest:{${GROUP}}:${clusterId}:${TOPIC}:${partition}`,
    );
    const applied = async (): Promise<number> => {
      const next = await Promise.all(positions.map((key) => control.hget(key, 'next')));
      return next.reduce((sum, one) => sum + Number(one ?? 0), 0);
    };

    const ours = async (): Promise<Figures> => {
      await control.flushall();
      const redisBefore = usageOf(redis.pid)?.cpuSeconds ?? 0;
      const child = start(main, [], image.flags, {
        ...image.environment,
        KAFKA_BROKER: kafka.address,
        KAFKA_TOPIC: TOPIC,
        KAFKA_GROUP: GROUP,
        REDIS_HOST: '127.0.0.1',
        REDIS_PORT: String(redis.port),
        HTTP_HOST: '127.0.0.1',
        HTTP_PORT: String(await freePort()),
        LOG_LEVEL: 'warn',
      });
      child.stdout.pipe(process.stderr);
      // From the first step that is seen, so that starting and joining the group do not count.
      let first = 0;
      let startedAt = 0;
      for (;;) {
        const now = await applied();
        if (child.exitCode !== null) throw new Error(`kafka-ingest ended with ${child.exitCode}`);
        if (first === 0 && now > 0) {
          first = now;
          startedAt = performance.now();
        }
        if (now === RECORDS) break;
        await sleep(POLL_MS);
      }
      const perSecond = ((RECORDS - first) / (performance.now() - startedAt)) * 1000;
      const usage = usageOf(child.pid);
      const redisCpuSeconds = (usageOf(redis.pid)?.cpuSeconds ?? 0) - redisBefore;
      const exit = once(child, 'exit');
      child.kill('SIGTERM');
      await exit;
      return {
        perSecond,
        rssMb: usage?.peakRssMb ?? NaN,
        cpuSeconds: usage?.cpuSeconds ?? NaN,
        redisCpuSeconds,
      };
    };

    const measured = await compare(
      [
        { name: 'kafka-ingest', run: ours },
        {
          name: 'raw consume',
          run: () => figuresOf('kafka-raw.ts', [kafka.address, TOPIC, String(RECORDS)]),
        },
        {
          name: "Redis' limit",
          async run() {
            await control.flushall();
            return figuresOf('kafka-feed.ts', [String(RECORDS), String(redis.port)]);
          },
        },
        {
          name: "the seed's shape",
          async run() {
            await control.flushall();
            return figuresOf('kafka-seed.ts', [
              kafka.address,
              TOPIC,
              String(SEED_RECORDS),
              String(redis.port),
            ]);
          },
        },
      ],
      { warmups: 0, rounds, onProgress: progress },
    );
    const [own, raw, limit, seed] = measured;
    if (own === undefined || raw === undefined || limit === undefined || seed === undefined)
      throw new Error('no figures');
    return [
      withUsage(row('kafka-ingest', 'perSecond', 'records/s', own, [raw, limit, seed]), own),
      withUsage(row('raw consume', 'perSecond', 'records/s', raw), raw),
      withUsage(row("Redis' limit", 'perSecond', 'records/s', limit), limit),
      withUsage(row("the seed's shape", 'perSecond', 'records/s', seed), seed),
      row("Redis' processor time for kafka-ingest", 'redisCpuSeconds', 's', own),
    ];
  } finally {
    for (const child of children) child.kill('SIGKILL');
    control.disconnect();
    await redis.stop();
    await kafka.stop();
  }
};

/** Each round has a process of its own, which says itself what it used. */
function withUsage(one: Row, series: Series): Row {
  const all = (name: string): number[] => series.rounds.map((figures) => figures[name] ?? NaN);
  return {
    ...one,
    rssMB: Number(Math.max(...all('rssMb')).toFixed(1)),
    cpuSeconds: Number(median(all('cpuSeconds')).toFixed(2)),
  };
}
