import { setTimeout as sleep } from 'node:timers/promises';
import type { ModuleLog } from '../agent/module-log.ts';
import type { ModuleRun } from '../agent/module-runner.ts';
import { EdgeError } from '../errors.ts';
import { isRecord } from '../manifest/record.ts';
import { EngineError } from './engine-client.ts';
import type { EngineClient } from './engine-client.ts';
import { writeFrames } from './engine-output.ts';

/** Exit code of a container that nobody can say anything about: the engine has gone, or somebody removed it. */
const unknownExit = 255;
const lastOutputMs = 1000;

export interface RunningContainer {
  readonly client: EngineClient;
  readonly id: string;
  readonly stopSeconds: number;
  readonly output: ModuleLog;
  readonly notes: readonly string[];
  /** Time between two looks at the health that the engine has found. */
  readonly healthPollMs: number;
}

/** Follows a container that has just been started until it ends. */
export async function followContainer(container: RunningContainer): Promise<ModuleRun> {
  const { client, id, output, notes } = container;
  const facts = recordOf(await client.call('GET', `/containers/${id}/json`));
  const state = recordOf(facts['State']);
  const isTerminal = recordOf(facts['Config'])['Tty'] === true;
  const startedAt = typeof state['StartedAt'] === 'string' ? state['StartedAt'] : undefined;
  const written = writeOutput(container, isTerminal, startedAt).catch((error: unknown) => {
    output.write('stderr', `local edge: reading the output failed: ${textOf(error)}\n`);
  });
  const givenUp = Promise.withResolvers<number>();
  const ended = Promise.race([waitForExit(client, id), givenUp.promise]).then(async (code) => {
    await Promise.race([written, sleep(lastOutputMs, undefined, { ref: false })]);
    return code;
  });
  return {
    kind: 'run',
    pid: typeof state['Pid'] === 'number' && state['Pid'] > 0 ? state['Pid'] : null,
    notes,
    without: [],
    ended,
    async stop() {
      try {
        await stopContainer(client, id, container.stopSeconds);
      } catch (error) {
        // Whoever stops a module must not wait for an engine that does not.
        output.write('stderr', `local edge: stopping the container failed: ${textOf(error)}\n`);
        givenUp.resolve(unknownExit);
      }
      await ended;
    },
    watchHealth: (report) => watchHealth(container, report),
    exec() {
      throw new EdgeError('NOT_EMULATED', `It is a container: docker exec -it ${id.slice(0, 12)} COMMAND.`);
    },
  };
}

/** The stop signal, and SIGKILL after `seconds`. One that has ended, or is gone, is no mistake. */
export async function stopContainer(client: EngineClient, id: string, seconds: number): Promise<void> {
  try {
    const silenceMs = (seconds + 20) * 1000;
    await client.call('POST', `/containers/${id}/stop`, { query: { t: String(seconds) }, silenceMs });
  } catch (error) {
    if (!(error instanceof EngineError && error.status === 404)) throw error;
  }
}

async function waitForExit(client: EngineClient, id: string): Promise<number> {
  try {
    const answer = await client.call('POST', `/containers/${id}/wait`, { silenceMs: null });
    const code = recordOf(answer)['StatusCode'];
    return typeof code === 'number' ? code : unknownExit;
  } catch {
    return unknownExit;
  }
}

async function writeOutput(
  { client, id, output }: RunningContainer,
  isTerminal: boolean,
  startedAt: string | undefined,
): Promise<void> {
  const since = startedAt === undefined ? {} : { since: unixTime(startedAt) };
  const query = { follow: '1', stdout: '1', stderr: '1', ...since };
  const stream = await client.open('GET', `/containers/${id}/logs`, { query, silenceMs: null });
  if (!isTerminal) return writeFrames(stream as AsyncIterable<Buffer>, output);
  for await (const text of stream.setEncoding('utf8') as AsyncIterable<string>) output.write('stdout', text);
  output.flush();
}

/** Seconds and nanoseconds since 1970 of a time of the engine, `2026-01-31T10:20:30.123456789Z`. */
export function unixTime(time: string): string {
  const fraction = /\.(\d{1,9})/.exec(time)?.[1] ?? '0';
  return `${Math.floor(Date.parse(time.replace(/\.\d+/, '')) / 1000)}.${fraction.padEnd(9, '0')}`;
}

/** The engine runs the health check; what it found is asked for. */
function watchHealth(
  { client, id, healthPollMs }: RunningContainer,
  report: (healthy: boolean, output: string) => void,
): () => void {
  const abort = new AbortController();
  const look = async (): Promise<void> => {
    // Ends by the abort of the wait.
    for (;;) {
      await sleep(healthPollMs, undefined, { signal: abort.signal, ref: false });
      const facts = await client.call('GET', `/containers/${id}/json`).catch(() => null);
      const health = recordOf(recordOf(recordOf(facts)['State'])['Health']);
      abort.signal.throwIfAborted();
      if (health['Status'] === 'healthy') report(true, '');
      if (health['Status'] === 'unhealthy') report(false, lastWords(health['Log']));
    }
  };
  look().catch(() => undefined);
  return () => abort.abort();
}

function lastWords(log: unknown): string {
  const last: unknown = Array.isArray(log) ? log.at(-1) : undefined;
  const output = recordOf(last)['Output'];
  return typeof output === 'string' ? output.slice(-1000).trim() : '';
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return isRecord(value) ? value : {};
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
