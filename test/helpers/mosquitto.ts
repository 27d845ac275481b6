import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestContext } from 'node:test';
import { findProgram } from '../../local-edge/src/services/find-server.ts';
import { onExit } from './cleanup.ts';
import { freePort } from './redis.ts';

export interface MosquittoOptions {
  /** Lines of mosquitto.conf after those that every test broker gets. */
  readonly config?: readonly string[];
  readonly port?: number;
  /** Lines that belong to the listener itself: `protocol websockets`, `cafile …`. */
  readonly listener?: readonly string[];
}

export interface TestMosquitto {
  readonly host: '127.0.0.1';
  readonly port: number;
  readonly dir: string;
  readonly pid: number;
  readonly url: string;
  stop(): Promise<void>;
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same port. */
  restart(): Promise<void>;
}

/** A real mosquitto of the caller's own, on loopback, without persistence. With a test context it stops with the test. */
export async function startMosquitto(
  t: TestContext | undefined,
  options: MosquittoOptions = {},
): Promise<TestMosquitto> {
  const found = await findProgram('mosquitto');
  const port = options.port ?? (await freePort());
  const dir = await mkdtemp(join(tmpdir(), 'mosquitto-'));
  const file = join(dir, 'mosquitto.conf');
  const lines = [
    `listener ${port} 127.0.0.1`,
    ...(options.listener ?? []),
    'persistence false',
    // As root it would change to a user who can neither read nor write the test's folder.
    'user root',
    'allow_anonymous true',
    'log_dest stderr',
    'log_type error',
    'log_type warning',
    ...(options.config ?? []),
  ];
  await writeFile(file, `${lines.join('\n')}\n`);
  let child: ChildProcess | undefined;
  let stopped = false;

  const start = async (): Promise<void> => {
    const started = spawn(found.command, [...found.args, '-c', file], {
      cwd: dir,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...found.env },
    });
    child = started;
    let output = '';
    started.stderr.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-4000);
    });
    const deadline = Date.now() + 20_000;
    while (!(await accepts(port))) {
      if (ended(started) || Date.now() > deadline)
        throw new Error(`mosquitto does not accept connections\n${output}`);
      await sleep(5);
    }
  };
  const kill = async (signal: NodeJS.Signals): Promise<void> => {
    const current = child;
    if (current === undefined || ended(current)) return;
    const exit = once(current, 'exit');
    if (signal === 'SIGTERM') current.kill('SIGCONT');
    current.kill(signal);
    if (signal === 'SIGKILL' || signal === 'SIGTERM') await exit;
  };
  const stop = async (): Promise<void> => {
    if (stopped) return;
    stopped = true;
    await kill('SIGKILL');
    await rm(dir, { recursive: true, force: true });
  };

  onExit(() => child?.kill('SIGKILL'));
  t?.after(stop);
  await start();
  return {
    host: '127.0.0.1',
    port,
    dir,
    url: `mqtt://127.0.0.1:${port}`,
    get pid() {
      return child?.pid ?? 0;
    },
    stop,
    kill,
    async restart() {
      await kill('SIGTERM');
      await start();
    },
  };
}

function ended(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const answer = (value: boolean): void => {
      socket.destroy();
      resolve(value);
    };
    socket.once('connect', () => answer(true)).once('error', () => answer(false));
  });
}
