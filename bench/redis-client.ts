/**
 * Direct methods through edgeHub: `SetItem` and `GetItem` of redis-client against an empty echo handler on the plain device SDK,
 * both called the same way, over the same local edge. Both run what an image runs: the bundle, not the sources.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LocalEdge } from '@iotedge-redis/local-edge';
import { bundle } from '../build/bundle.ts';
import { startRedis } from '../test/helpers/redis.ts';
import { compare, row, type Benchmark, type Contender, type Figures, type Row } from './harness.ts';
import { imageCommand } from './image-command.ts';
import { edgeHubCaller, serviceCaller, type MethodCaller } from './method-callers.ts';
import { measureStarts } from './module-start.ts';
import { percentile } from './statistics.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const CONCURRENCY = 16;
const LOAD_MS = 2000;
const LONE_CALLS = 500;

export const benchmark: Benchmark = async ({ rounds, progress }) => {
  progress('bundling');
  const main = await bundle('redis-client');
  const image = imageCommand(join(root, 'modules/redis-client/Dockerfile.amd64'));

  const stateDir = mkdtempSync(join(tmpdir(), 'bench-edge-'));
  const edge = new LocalEdge({ templatePath: null, stateDir, edgeHubPort: 0, servicePort: 0, https: false });
  const redis = await startRedis(undefined);
  const children: ChildProcess[] = [];
  try {
    await edge.start();
    const client = await startModule('redis-client', [...image.flags, main], {
      ...image.environment,
      REDIS_ENDPOINT: `127.0.0.1:${redis.port}`,
      HTTP_PORT: '0',
    });
    const echo = await startModule('echo', [join(root, 'bench/echo-module.ts')], {});
    const rows: Row[] = [];
    // The first is the path that callers take; the second shows the module with less around it.
    for (const [suffix, caller] of [
      ['', serviceCaller(edge)],
      [' (at edgeHub)', edgeHubCaller(edge)],
    ] as const) {
      const [ours, baseline] = await compare(
        [
          contender('redis-client', client, caller, (n) =>
            n % 2 === 0
              ? ['SetItem', `bench-${n % 1000}:value-${n}`]
              : ['GetItem', `bench-${(n - 1) % 1000}`],
          ),
          contender('echo', echo, caller, (n) => ['Echo', `bench-${n % 1000}:value-${n}`]),
        ],
        { warmups: 2, rounds, onProgress: progress },
      );
      caller.close();
      if (ours === undefined || baseline === undefined) throw new Error('no figures');
      rows.push(
        row(`redis-client${suffix}`, 'callsPerSecond', 'calls/s', ours, [baseline]),
        row(`echo${suffix}`, 'callsPerSecond', 'calls/s', baseline),
      );
      for (const p of ['p50', 'p99'] as const) {
        rows.push(
          row(`redis-client ${p}${suffix}`, p, 'ms', ours, [baseline]),
          row(`echo ${p}${suffix}`, p, 'ms', baseline),
        );
      }
    }
    const environment = { REDIS_ENDPOINT: `127.0.0.1:${redis.port}` };
    const started = [{ name: 'redis-client', main, image, environment }];
    return [...rows, ...(await measureStarts(started, { rounds, progress }))];
  } finally {
    for (const child of children) {
      child.kill('SIGTERM');
      if (child.exitCode === null) await once(child, 'exit');
    }
    await edge.shutDown();
    await redis.stop();
    rmSync(stateDir, { recursive: true, force: true });
  }

  async function startModule(
    name: string,
    args: readonly string[],
    environment: Record<string, string>,
  ): Promise<ChildProcess> {
    const injected = await edge.moduleEnv(name);
    const child = spawn(process.execPath, args, {
      env: {
        PATH: process.env['PATH'],

        ...injected,
        ...environment,
      },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    children.push(child);
    const deadline = Date.now() + 20_000;
    const caller = edgeHubCaller(edge);
    const probe = name === 'echo' ? 'Echo' : 'Stats';
    for (;;) {
      if ((await caller.call(name, probe, null)) === 200) return child;
      if (child.exitCode !== null || Date.now() > deadline) throw new Error(`${name} did not come up`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  function contender(
    name: string,
    child: ChildProcess,
    caller: MethodCaller,
    request: (n: number) => [string, string],
  ): Contender {
    const once_ = async (n: number): Promise<void> => {
      if ((await caller.call(name, ...request(n))) !== 200)
        throw new Error(`${name}: call ${n} was not answered with 200`);
    };
    return {
      name,
      pid: () => child.pid,
      async run(): Promise<Figures> {
        const until = performance.now() + LOAD_MS;
        const startedAt = performance.now();
        let calls = 0;
        // Even numbers write and odd ones read what the same caller wrote before it.
        const work = async (first: number): Promise<void> => {
          for (let n = first; performance.now() < until; n += 2) {
            await once_(n);
            await once_(n + 1);
            calls += 2;
          }
        };
        await Promise.all(Array.from({ length: CONCURRENCY }, (_, index) => work(index * 10_000)));
        const callsPerSecond = (calls / (performance.now() - startedAt)) * 1000;
        const latencies: number[] = [];
        for (let n = 0; n < LONE_CALLS; n++) {
          const sent = performance.now();
          await once_(n);
          latencies.push(performance.now() - sent);
        }
        return { callsPerSecond, p50: percentile(latencies, 50), p99: percentile(latencies, 99) };
      },
    };
  }
};
