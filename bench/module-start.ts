import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
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
/** Longer than a module waits until it sets the flags of V8 that keep the heap small. */
const IDLE_MS = 5000;

/** From start to working, in turn with the time that Node itself takes to start and end. */
export async function measureStarts(
  modules: readonly StartedModule[],
  { rounds, progress }: { rounds: number; progress: (text: string) => void },
): Promise<Row[]> {
  const ours = modules.map((module): Contender => ({
    name: `${module.name} start to ready`,
    run: () => startOnce(module, (ms) => Promise.resolve({ ms })),
  }));
  const bare: Contender = {
    name: 'node -e 0',
    async run() {
      const startedAt = performance.now();
      await once(spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' }), 'exit');
      return { ms: performance.now() - startedAt };
    },
  };
  const series = await compare([...ours, bare], {
    warmups: 2,
    rounds: Math.max(rounds, 7),
    onProgress: progress,
  });
  const node = series.at(-1);
  if (node === undefined) throw new Error('no figures');
  const rows = series.slice(0, -1).map((one) => row(one.contender, 'ms', 'ms', one, [node]));
  return [...rows, row(bare.name, 'ms', 'ms', node)];
}

/** Resident memory a few seconds after it is up, with nothing to do. */
export async function measureIdle(module: StartedModule): Promise<Row> {
  const { mb = Number.NaN } = await startOnce(module, async (_ms, pid) => {
    await sleep(IDLE_MS);
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return { mb: Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024 };
  });
  const name = `${module.name} idle`;
  return { name, median: mb, min: mb, max: mb, unit: 'MB', ratios: {}, rssMB: null, cpuSeconds: null };
}

async function startOnce(
  { name, main, image, environment }: StartedModule,
  look: (ms: number, pid: number) => Promise<Record<string, number>>,
): Promise<Record<string, number>> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, [...image.flags, main], {
    env: {
      PATH: process.env['PATH'],
      ...image.environment,
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
