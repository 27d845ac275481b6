import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestContext } from 'node:test';
import type { JsonValue } from '../../local-edge/src/hub/hub-api.ts';
import { edgeProgram, projectRoot } from './edge-process.ts';
import type { EdgeProcess } from './edge-process.ts';
import { onEnd } from './cleanup.ts';
import { eventually } from './site.ts';

export interface PlainEvent {
  readonly event: 'open' | 'input' | 'method' | 'desired';
  readonly input?: string;
  readonly text?: string;
  readonly properties?: Readonly<Record<string, string>>;
  readonly payload?: JsonValue;
  readonly patch?: Readonly<Record<string, JsonValue>>;
}

interface Answer {
  readonly id?: number;
  readonly event?: string;
  readonly result?: JsonValue;
  readonly error?: string;
}

export interface Sending {
  readonly output?: string;
  readonly text: string;
  readonly contentType?: 'application/json';
  readonly properties?: Readonly<Record<string, string>>;
}

/** A module on the plain device SDK, started by hand: in a shell, with what `edge module-env` prints. */
export interface PlainModule {
  /** Everything that happened to it, in order. */
  readonly events: readonly PlainEvent[];
  send(message: Sending): Promise<void>;
  report(patch: Readonly<Record<string, JsonValue>>): Promise<void>;
  /** Reads the twin and listens for desired properties from then on. */
  twin(): Promise<JsonValue>;
  /** Calls a method of another module of the device. */
  invoke(module: string, method: string, payload: JsonValue): Promise<JsonValue>;
  /** The texts that came to an input, once there are so many. */
  received(input: string, count: number): Promise<readonly PlainEvent[]>;
  close(): Promise<void>;
}

/** The SDK has no time limit for some operations. */
const patienceMs = 30_000;

export async function startPlainModule(
  t: TestContext,
  edge: EdgeProcess,
  name: string,
): Promise<PlainModule> {
  const worker = join(projectRoot, 'test', 'helpers', 'plain-module-worker.ts');
  const script = 'variables=$("$0" "$1" module-env "$3") && eval "$variables" && exec "$0" "$2"';
  const child = spawn('sh', ['-c', script, process.execPath, edgeProgram, worker, name], {
    cwd: projectRoot,
    env: edge.env,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let complaints = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => void (complaints += text));
  const ended = once(child, 'close');
  onEnd(t, async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const events: PlainEvent[] = [];
  const waiting = new Map<number, (answer: Answer) => void>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const answer = JSON.parse(line) as Answer;
    if (answer.event !== undefined) events.push(answer as PlainEvent);
    else if (answer.id !== undefined) waiting.get(answer.id)?.(answer);
  });
  let lastId = 0;
  const order = async (what: object): Promise<JsonValue> => {
    lastId += 1;
    const id = lastId;
    const answer = new Promise<Answer>((resolve) => waiting.set(id, resolve));
    child.stdin.write(`${JSON.stringify({ id, ...what })}\n`);
    const { error, result = null } = await Promise.race([
      answer,
      ended.then((): Answer => ({ error: `${name} has ended: ${complaints}` })),
      sleep<Answer>(patienceMs, { error: `${name} has not done ${JSON.stringify(what)}` }, { ref: false }),
    ]);
    if (error !== undefined) throw new Error(error);
    return result;
  };
  await eventually(() => events.length > 0 || child.exitCode !== null, Boolean, 20_000);
  if (events.length === 0) throw new Error(`${name} has ended: ${complaints}`);
  return {
    events,
    async send(message) {
      await order({ do: 'send', ...message });
    },
    async report(patch) {
      await order({ do: 'report', patch });
    },
    twin: () => order({ do: 'twin' }),
    invoke: (module, method, payload) => order({ do: 'invoke', module, method, payload }),
    received: (input, count) =>
      eventually(
        () => events.filter((one) => one.event === 'input' && one.input === input),
        (found) => found.length >= count,
      ),
    async close() {
      await order({ do: 'close' });
      await ended;
    },
  };
}
