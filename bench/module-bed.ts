/** A module as its image starts it, without IoT Edge: the bundle in a process of its own, its methods over HTTP. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '../test/helpers/redis.ts';
import { imageCommand } from './image-command.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const START_MS = 60_000;

export interface BenchModule {
  readonly pid: number | undefined;
  /** Calls a method and resolves with the payload of its answer, which need not be a success. */
  call(method: string, payload?: unknown): Promise<unknown>;
  /** Ends it and waits until it is gone. */
  stop(): Promise<void>;
}

export interface BenchModuleOptions {
  readonly name: string;
  /** The bundle. */
  readonly main: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** Resolves once the module answers its methods. */
export async function startBenchModule(options: BenchModuleOptions): Promise<BenchModule> {
  const { name, main } = options;
  const { environment, flags } = imageCommand(join(root, `modules/${name}/Dockerfile.amd64`));
  const port = await freePort();
  const child = spawn(process.execPath, [...flags, main], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      ...environment,
      PATH: process.env['PATH'],
      HTTP_PORT: String(port),
      HTTP_HOST: '127.0.0.1',
      ...options.environment,
    },
  });
  const call = async (method: string, payload: unknown = null): Promise<unknown> => {
    const answer = await fetch(`http://127.0.0.1:${port}/methods/${method}`, {
      method: 'POST',
      body: JSON.stringify(payload),
    });
    const reply: unknown = await answer.json();
    return typeof reply === 'object' && reply !== null && 'payload' in reply ? reply.payload : reply;
  };
  for (const deadline = Date.now() + START_MS; ;) {
    const answer = await call('Health').catch(() => undefined);
    if (answer !== undefined) break;
    if (Date.now() > deadline || child.exitCode !== null) throw new Error(`${name} does not start`);
    await pause(10);
  }
  return {
    pid: child.pid,
    call,
    async stop() {
      if (child.exitCode !== null) return;
      child.kill('SIGTERM');
      await once(child, 'exit');
    },
  };
}
