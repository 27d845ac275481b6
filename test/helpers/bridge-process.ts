import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { onExit } from './cleanup.ts';
import { freePort } from './redis.ts';

const MAIN = fileURLToPath(new URL('../../modules/stream-to-mqtt/src/main.ts', import.meta.url));

export interface BridgeProcess {
  readonly pid: number;
  readonly url: string;
  output(): string;
  start(): void;
  kill(signal: NodeJS.Signals): Promise<void>;
  post(method: string, body?: string): Promise<unknown>;
  ready(): Promise<void>;
}

/** The module's program with this environment, as a container would run it; it ends with the test. */
export async function createBridgeProcess(
  t: TestContext | undefined,
  environment: Readonly<Record<string, string>>,
  args: readonly string[] = [],
  main = MAIN,
): Promise<BridgeProcess> {
  const port = await freePort();
  let child: ChildProcess | undefined;
  let output = '';
  const url = `http://127.0.0.1:${port}`;
  onExit(() => child?.kill('SIGKILL'));
  t?.after(() => child?.kill('SIGKILL'));
  return {
    get pid() {
      return child?.pid ?? 0;
    },
    url,
    output: () => output,
    start() {
      const started = spawn(process.execPath, ['--conditions=source', main, ...args], {
        env: { PATH: process.env['PATH'], HTTP_HOST: '127.0.0.1', HTTP_PORT: String(port), ...environment },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const keep = (text: string): void => {
        output = (output + text).slice(-20_000);
      };
      started.stdout.setEncoding('utf8').on('data', keep);
      started.stderr.setEncoding('utf8').on('data', keep);
      child = started;
    },
    async kill(signal) {
      const current = child;
      if (current?.exitCode !== null || current.signalCode !== null) return;
      const exit = once(current, 'exit');
      current.kill(signal);
      if (signal === 'SIGKILL' || signal === 'SIGTERM') await exit;
    },
    async post(method, body = 'null') {
      return (await fetch(`${url}/methods/${method}`, { method: 'POST', body })).json();
    },
    async ready() {
      const deadline = Date.now() + 60_000;
      while (!(await fetch(`${url}/readyz`).catch(() => undefined))?.ok) {
        if (Date.now() > deadline) throw new Error(`the bridge is not ready\n${output}`);
        await sleep(20);
      }
    },
  };
}
