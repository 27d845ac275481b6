import { spawn } from 'node:child_process';
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ModuleStatus } from '../../local-edge/src/control/control-api.ts';
import { ProcessRecords, startTimeOf } from '../../local-edge/src/agent/process-records.ts';
import type { HubFacts } from '../../local-edge/src/hub-facts.ts';
import type { JsonObject } from '../../local-edge/src/hub/hub-api.ts';
import { onEnd } from './cleanup.ts';
import { eventually } from './site.ts';

export const projectRoot = fileURLToPath(new URL('../../', import.meta.url));
/** The `edge` program, for Node. */
export const edgeProgram = join(projectRoot, 'local-edge', 'bin', 'edge.js');

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProgramOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** Runs a program to its end. */
export function runProgram(
  command: string,
  args: readonly string[],
  options: ProgramOptions,
): Promise<Ended> {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = collect(child);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout: output.stdout, stderr: output.stderr }));
  });
}

/** The `edge` program in a process of its own, as a shell starts it. */
export function runEdge(argv: readonly string[], options: ProgramOptions = {}): Promise<Ended> {
  return runProgram(process.execPath, [edgeProgram, ...argv], { cwd: projectRoot, ...options });
}

export interface EdgeStart extends ProgramOptions {
  readonly stateDir?: string;
  /** Flags of `edge start`. By default any free ports, and none below 1024. */
  readonly flags?: readonly string[];
}

/** A local edge that runs as its own process, and the `edge` command for it. */
export interface EdgeProcess {
  readonly stateDir: string;
  readonly child: ChildProcess;
  readonly facts: HubFacts;
  readonly output: { readonly stdout: string; readonly stderr: string };
  /** The environment of a second terminal. */
  readonly env: NodeJS.ProcessEnv;
  /** Runs `edge …` for it. */
  run(...argv: string[]): Promise<Ended>;
  /** The same; fails unless the command succeeds. Answers what it printed. */
  ok(...argv: string[]): Promise<string>;
  json(...argv: string[]): Promise<JsonObject>;
  /** Sends a direct method and answers the module's own status and payload. */
  invoke(module: string, method: string, payload: unknown): Promise<JsonObject>;
  modules(): Promise<ModuleStatus[]>;
  pidOf(module: string): Promise<number>;
  /** Presses Ctrl+C; answers the exit code when it has ended. */
  interrupt(): Promise<number | null>;
  /** Ends it without a chance to stop its modules. */
  kill(): Promise<void>;
}

export const freePorts = ['--port', '0', '--edge-hub-port', '0', '--no-https'] as const;

/** A state folder that goes with the test, after everything that an edge started there has ended. */
export function makeStateDir(t: TestContext): string {
  const stateDir = mkdtempSync(join(tmpdir(), 'edge-e2e-'));
  onEnd(t, async () => {
    if ('passed' in t && t.passed !== true) t.diagnostic(lastLogs(stateDir));
    // What a killed local edge left behind.
    await new ProcessRecords(join(stateDir, 'run')).reap();
    rmSync(stateDir, { recursive: true, force: true });
  });
  return stateDir;
}

/** What the modules said last, for whoever looks at a failed test. */
function lastLogs(stateDir: string): string {
  const folder = join(stateDir, 'logs');
  if (!existsSync(folder)) return `no logs in ${stateDir}`;
  return readdirSync(folder)
    .map((name) => `--- ${name}\n${readFileSync(join(folder, name), 'utf8').slice(-6000)}`)
    .join('\n');
}

/**
 * The environment of a user who has set nothing for the local edge but that it is to leave Kafka out, which takes longer to start than
 * all the rest; a Redis named there is not used, since tests kill theirs.
 */
export function plainEnvironment(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const env = { ...process.env, EDGE_KAFKA_ADDRESS: 'none', ...more };
  for (const name of ['EDGE_STATE', 'EDGE_REDIS_ADDRESS', 'NODE_OPTIONS', 'NODE_TEST_CONTEXT'])
    if (more[name] === undefined) Reflect.deleteProperty(env, name);
  return env;
}

/** Starts a local edge in its own process; resolves when it says that it is ready. It stops with the test. */
export async function startEdge(t: TestContext, options: EdgeStart = {}): Promise<EdgeProcess> {
  const stateDir = options.stateDir ?? makeStateDir(t);
  const { flags = freePorts, cwd = projectRoot, env = plainEnvironment() } = options;
  const args = [edgeProgram, 'start', '--state', stateDir, ...flags];
  return adopt(t, spawnInGroup(t, process.execPath, args, { cwd, env }), stateDir, env);
}

/** Starts a program in a process group of its own, as a terminal does, so that Ctrl+C can be sent to all of it. */
export function spawnInGroup(
  t: TestContext,
  command: string,
  args: readonly string[],
  options: SpawnOptions,
): ChildProcess {
  const child = spawn(command, args, { ...options, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const end = () => signalGroup(child, 'SIGTERM');
  // A test process that ends without its hooks leaves nothing behind.
  process.once('exit', end);
  onEnd(t, async () => {
    process.off('exit', end);
    if (hasEnded(child)) return;
    const closed = once(child, 'close');
    end();
    const timer = setTimeout(() => signalGroup(child, 'SIGKILL'), 20_000);
    await closed;
    clearTimeout(timer);
  });
  return child;
}

/** Waits until a program that starts a local edge is done with it. */
export async function adopt(
  t: TestContext,
  child: ChildProcess,
  stateDir: string,
  env: NodeJS.ProcessEnv,
): Promise<EdgeProcess> {
  const output = collect(child);
  const ready = () => output.stdout.includes('Ctrl+C stops everything');
  await eventually(() => ready() || hasEnded(child), Boolean, 90_000).catch((error: unknown) => {
    throw new Error(`the local edge is not ready\n${output.stdout}\n${output.stderr}`, { cause: error });
  });
  if (!ready()) throw new Error(`the local edge has ended\n${output.stdout}\n${output.stderr}`);
  const facts = JSON.parse(readFileSync(join(stateDir, 'hub.json'), 'utf8')) as HubFacts;
  const second = { ...env, EDGE_STATE: stateDir };
  const run = (...argv: string[]) => runEdge(argv, { env: second });
  const ok = async (...argv: string[]) => {
    const { code, stdout, stderr } = await run(...argv);
    if (code !== 0) throw new Error(`edge ${argv.join(' ')} ended with ${String(code)}: ${stderr}${stdout}`);
    return stdout;
  };
  const json = async (...argv: string[]) => JSON.parse(await ok(...argv)) as JsonObject;
  const modules = async () => JSON.parse(await control(facts.controlSocket)) as ModuleStatus[];
  const ended = once(child, 'close');
  t.diagnostic(`local edge ${facts.pid} in ${stateDir}`);
  return {
    stateDir,
    child,
    facts,
    output,
    env: second,
    run,
    ok,
    json,
    modules,
    async pidOf(name) {
      const pid = (await modules()).find((one) => one.name === name)?.pid;
      if (pid === undefined || pid === null) throw new Error(`${name} has no process`);
      return pid;
    },
    invoke: (module, method, payload) =>
      json('invoke-module-method', '-m', module, '--mn', method, '--mp', JSON.stringify(payload)),
    async interrupt() {
      signalGroup(child, 'SIGINT');
      await ended;
      return child.exitCode;
    },
    async kill() {
      process.kill(facts.pid, 'SIGKILL');
      await ended;
    },
  };
}

/** The manifest that was made of the template, as `edge set-modules` takes it. */
export function manifestOf(edge: EdgeProcess): Manifest {
  return JSON.parse(readFileSync(join(edge.stateDir, 'manifest.json'), 'utf8')) as Manifest;
}

export interface Manifest {
  readonly modulesContent: {
    readonly $edgeAgent: {
      readonly 'properties.desired': { readonly modules: Record<string, Record<string, unknown>> };
    };
    readonly $edgeHub: { readonly 'properties.desired': { readonly routes: Record<string, unknown> } };
  } & Record<string, object>;
}

/** Asks the control socket for the modules: with their process ids, which the command does not print. */
async function control(socketPath: string): Promise<string> {
  const { request } = await import('node:http');
  const call = request({ socketPath, path: '/modules', agent: false }).end();
  const [response] = (await once(call, 'response')) as [NodeJS.ReadableStream];
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += String(chunk);
  return text;
}

function collect(child: ChildProcess): { stdout: string; stderr: string } {
  const output = { stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => void (output.stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => void (output.stderr += text));
  return output;
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group has ended.
  }
}

/** Whether a process runs. */
export function runs(pid: number): boolean {
  return startTimeOf(pid) !== null;
}
