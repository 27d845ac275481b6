import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ImageCommand } from './image-command.ts';
import { compare, row, type Contender, type Row } from './harness.ts';

/** From start to ready (connected to Redis), against the time that Node itself takes to start and end. */
export async function measureStart(
  main: string,
  image: ImageCommand,
  redisEndpoint: string,
  { rounds, progress }: { rounds: number; progress: (text: string) => void },
): Promise<Row[]> {
  const cache = mkdtempSync(join(tmpdir(), 'bench-start-'));
  const environment = { PATH: process.env['PATH'], NODE_COMPILE_CACHE: cache };
  const ours: Contender = {
    name: 'redis-client start to ready',
    async run() {
      const startedAt = performance.now();
      const child = spawn(process.execPath, [...image.flags, main], {
        env: { ...image.environment, ...environment, REDIS_ENDPOINT: redisEndpoint, HTTP_PORT: '0' },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const exited = once(child, 'exit');
      try {
        for await (const line of createInterface({ input: child.stdout })) {
          if (line.includes('module is ready')) return { ms: performance.now() - startedAt };
        }
        throw new Error(`${main} ended before it was ready`);
      } finally {
        child.kill('SIGTERM');
        await exited;
      }
    },
  };
  const bare: Contender = {
    name: 'node -e 0',
    async run() {
      const startedAt = performance.now();
      await once(spawn(process.execPath, ['-e', '0'], { env: environment, stdio: 'ignore' }), 'exit');
      return { ms: performance.now() - startedAt };
    },
  };
  try {
    const [started, node] = await compare([ours, bare], {
      warmups: 2,
      rounds: Math.max(rounds, 7),
      onProgress: progress,
    });
    if (started === undefined || node === undefined) throw new Error('no figures');
    return [row(ours.name, 'ms', 'ms', started, [node]), row(bare.name, 'ms', 'ms', node)];
  } finally {
    rmSync(cache, { recursive: true, force: true });
  }
}
