/**
 * Direct methods through edgeHub: `SetItem` and `GetItem` of redis-client against an empty echo handler on the plain device SDK,
 * both called the same way, over the same local edge. Both run what an image runs: the built files, not the sources.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LocalEdge } from '@iotedge-redis/local-edge';
import { startRedis } from '../test/helpers/redis.ts';
import { compare, row, type Contender, type Figures, type Row } from './harness.ts';
import type { Benchmark } from './main.ts';
import { measureStart } from './module-start.ts';
import { percentile } from './statistics.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const CONCURRENCY = 16;
const LOAD_MS = 2000;
const LONE_CALLS = 500;

export const benchmark: Benchmark = async ({ rounds, progress }) => {
  progress('building');
  const build = spawnSync(
    process.execPath,
    [join(root, 'node_modules/typescript/bin/tsc'), '-b', 'modules/redis-client'],
    {
      cwd: root,
      stdio: 'inherit',
    },
  );
  if (build.status !== 0) throw new Error('building modules/redis-client failed');
  const main = join(root, 'modules/redis-client/dist/main.js');

  const stateDir = mkdtempSync(join(tmpdir(), 'bench-edge-'));
  const edge = new LocalEdge({ templatePath: null, stateDir, edgeHubPort: 0, servicePort: 0, https: false });
  const redis = await startRedis(undefined);
  const children: ChildProcess[] = [];
  try {
    await edge.start();
    const client = await startModule('redis-client', [main], {
      REDIS_ENDPOINT: `127.0.0.1:${redis.port}`,
      HTTP_PORT: '0',
    });
    const echo = await startModule('echo', [join(root, 'bench/echo-module.ts')], {});
    const contenders = [
      contender('redis-client', client, (n) =>
        n % 2 === 0 ? ['SetItem', `bench-${n % 1000}:value-${n}`] : ['GetItem', `bench-${(n - 1) % 1000}`],
      ),
      contender('echo', echo, (n) => ['Echo', `bench-${n % 1000}:value-${n}`]),
    ];
    const [ours, baseline] = await compare(contenders, { warmups: 2, rounds, onProgress: progress });
    if (ours === undefined || baseline === undefined) throw new Error('no figures');
    const start = await measureStart(main, `127.0.0.1:${redis.port}`, { rounds, progress });
    const rows: Row[] = [
      row('redis-client', 'callsPerSecond', 'calls/s', ours, [baseline]),
      row('echo', 'callsPerSecond', 'calls/s', baseline),
    ];
    for (const p of ['p50', 'p99'] as const) {
      rows.push(row(`redis-client ${p}`, p, 'ms', ours, [baseline]), row(`echo ${p}`, p, 'ms', baseline));
    }
    return [...rows, ...start];
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
        NODE_COMPILE_CACHE: join(stateDir, 'compiled'),
        ...injected,
        ...environment,
      },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    children.push(child);
    const deadline = Date.now() + 20_000;
    const probe = name === 'echo' ? 'Echo' : 'Stats';
    for (;;) {
      const outcome = await call(name, probe, null);
      if (outcome.kind === 'reply' && outcome.status === 200) return child;
      if (child.exitCode !== null || Date.now() > deadline)
        throw new Error(`${name} did not come up (${outcome.kind})`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  function call(moduleId: string, methodName: string, payload: string | null) {
    return edge.hub.methods.invoke({
      moduleId,
      methodName,
      payload,
      responseTimeoutMs: 10_000,
      connectTimeoutMs: 0,
    });
  }

  function contender(name: string, child: ChildProcess, request: (n: number) => [string, string]): Contender {
    const once_ = async (n: number): Promise<void> => {
      const outcome = await call(name, ...request(n));
      if (outcome.kind !== 'reply' || outcome.status !== 200)
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
        const caller = async (first: number): Promise<void> => {
          for (let n = first; performance.now() < until; n += 2) {
            await once_(n);
            await once_(n + 1);
            calls += 2;
          }
        };
        await Promise.all(Array.from({ length: CONCURRENCY }, (_, index) => caller(index * 10_000)));
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
