import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ImageCommand } from './image-command.ts';
import { compare, row, type Contender, type Row } from './harness.ts';

/** A module as its image starts it. */
export interface StartedModule {
  readonly name: string;
  /** Its bundle. */
  readonly main: string;
  readonly image: ImageCommand;
  /** Where it finds what it works with. */
  readonly environment: Readonly<Record<string, string>>;
}

/** It works, or has everything but settings that nobody gave it: all its code has been loaded then, and its port answers. */
const UP = /module is ready|a part waits for settings/;
const IDLE_MS = 3000;

/** From start to working, in turn with the time that Node itself takes to start and end. */
export async function measureStarts(
  modules: readonly StartedModule[],
  { rounds, progress }: { rounds: number; progress: (text: string) => void },
): Promise<Row[]> {
  const cache = mkdtempSync(join(tmpdir(), 'bench-start-'));
  const ours = modules.map((module): Contender => ({
    name: `${module.name} start to ready`,
    run: () => startOnce(module, cache, (ms) => Promise.resolve({ ms })),
  }));
  const bare: Contender = {
    name: 'node -e 0',
    async run() {
      const startedAt = performance.now();
      const env = { PATH: process.env['PATH'], NODE_COMPILE_CACHE: cache };
      await once(spawn(process.execPath, ['-e', '0'], { env, stdio: 'ignore' }), 'exit');
      return { ms: performance.now() - startedAt };
    },
  };
  try {
    const series = await compare([...ours, bare], {
      warmups: 2,
      rounds: Math.max(rounds, 7),
      onProgress: progress,
    });
    const node = series.at(-1);
    if (node === undefined) throw new Error('no figures');
    const rows = series.slice(0, -1).map((one) => row(one.contender, 'ms', 'ms', one, [node]));
    return [...rows, row(bare.name, 'ms', 'ms', node)];
  } finally {
    rmSync(cache, { recursive: true, force: true });
  }
}

/** Resident memory a few seconds after it is up, with nothing to do. */
export async function measureIdle(module: StartedModule): Promise<Row> {
  const cache = mkdtempSync(join(tmpdir(), 'bench-idle-'));
  try {
    const { mb = Number.NaN } = await startOnce(module, cache, async (_ms, pid) => {
      await sleep(IDLE_MS);
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      return { mb: Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024 };
    });
    const name = `${module.name} idle`;
    return { name, median: mb, min: mb, max: mb, unit: 'MB', ratios: {}, rssMB: null, cpuSeconds: null };
  } finally {
    rmSync(cache, { recursive: true, force: true });
  }
}

async function startOnce(
  { name, main, image, environment }: StartedModule,
  cache: string,
  look: (ms: number, pid: number) => Promise<Record<string, number>>,
): Promise<Record<string, number>> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, [...image.flags, main], {
    env: {
      PATH: process.env['PATH'],
      ...image.environment,
      NODE_COMPILE_CACHE: cache,
      HTTP_HOST: '127.0.0.1',
      HTTP_PORT: '0',
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  try {
    for await (const line of createInterface({ input: child.stdout }))
      if (UP.test(line)) return await look(performance.now() - startedAt, child.pid ?? 0);
    throw new Error(`${name} ended before it was up`);
  } finally {
    child.kill('SIGTERM');
    await exited;
  }
}
