import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { JsonValue, MethodReply } from '../../modules/common/src/edge/edge.ts';
import { freePort } from './redis.ts';

const root = join(import.meta.dirname, '../..');

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ModuleProcess {
  readonly pid: number;
  readonly port: number;
  /** What it wrote to its standard output, and to its standard error. */
  readonly output: () => string;
  readonly errors: () => string;
  /** Its log, line by line. */
  readonly lines: () => readonly string[];
  readonly ended: Promise<Ended>;
  readonly kill: (signal: NodeJS.Signals) => void;
  /** Status and body of a page of its HTTP port. */
  readonly get: (path: string) => Promise<{ status: number; text: string }>;
  readonly call: (method: string, payload: JsonValue) => Promise<MethodReply>;
  /** Waits for a line of its log. */
  readonly until: (line: RegExp, ms?: number) => Promise<void>;
}

export interface ModuleProcessOptions {
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Options of Node itself. */
  readonly flags?: readonly string[];
  /** Where it runs, and what `main` is relative to: the repository's root by default. */
  readonly cwd?: string;
}

/** A module as edgeAgent runs it: a process of its own, with this environment and nothing of ours. It ends with the test. */
export async function startModuleProcess(
  t: TestContext,
  main: string,
  { args = [], environment = {}, flags = [], cwd = root }: ModuleProcessOptions = {},
): Promise<ModuleProcess> {
  const port = await freePort();
  const conditions = main.endsWith('.ts') ? ['--conditions=source'] : [];
  const child = spawn(process.execPath, [...conditions, ...flags, join(cwd, main), ...args], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { HTTP_PORT: String(port), HTTP_HOST: '127.0.0.1', ...environment },
  });
  const ended = once(child, 'close').then(([code, signal]: unknown[]): Ended => {
    return {
      code: typeof code === 'number' ? code : null,
      signal: (signal as NodeJS.Signals | null) ?? null,
    };
  });
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await ended;
  });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const url = `http://127.0.0.1:${port}`;
  return {
    pid: child.pid ?? 0,
    port,
    output: () => output,
    errors: () => errors,
    lines: () => output.split('\n').filter((line) => line !== ''),
    ended,
    kill: (signal) => void child.kill(signal),
    async get(path) {
      const answer = await fetch(url + path);
      return { status: answer.status, text: await answer.text() };
    },
    async call(method, payload) {
      const answer = await fetch(`${url}/methods/${method}`, {
        method: 'POST',
        body: JSON.stringify(payload),
      });
      return (await answer.json()) as MethodReply;
    },
    async until(line, ms = 10_000) {
      const end = performance.now() + ms;
      while (!line.test(output)) {
        if (performance.now() > end || child.exitCode !== null)
          throw new Error(`waited in vain for ${String(line)}; exit ${child.exitCode}\n${output}${errors}`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
  };
}
