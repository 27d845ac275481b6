import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import type {
  JsonObject,
  ModuleDefinition,
  Part,
  RunningModule,
  StandaloneEdge,
} from '@iotedge-redis/common';
import { createLog, createStandaloneEdge, startModule, text } from '@iotedge-redis/common';
import type { PartSettings, ScriptedPart } from '../../../helpers/scripted-part.ts';
import { scriptedPart } from '../../../helpers/scripted-part.ts';

const fields = {
  place: text({ env: 'PLACE', twin: 'place', default: 'local', description: '' }),
  filter: text({ env: 'FILTER', twin: 'filter', default: '*', live: true, description: '' }),
  token: text({ env: 'TOKEN', twin: 'token', secret: true, description: '' }),
};

interface Bench extends ScriptedPart {
  readonly running: RunningModule;
  readonly edge: StandaloneEdge;
  readonly lines: string[];
  readonly get: (path: string) => Promise<{ status: number; body: JsonObject; text: string }>;
}

interface Options {
  readonly environment?: Record<string, string>;
  readonly part?: Partial<Part<PartSettings>>;
  readonly keepDesired?: boolean;
  readonly prepare?: (scripted: ScriptedPart) => void;
  readonly desired?: JsonObject;
}

async function start(t: TestContext, options: Options = {}): Promise<Bench> {
  const scripted = scriptedPart(options.part);
  options.prepare?.(scripted);
  const lines: string[] = [];
  const edge = createStandaloneEdge({ deviceId: 'host', moduleId: 'second' });
  if (options.desired) edge.setDesired(options.desired);
  const definition: ModuleDefinition<typeof fields> = {
    name: 'scripted',
    version: '1.2.3',
    fields,
    methods: ['Where', 'Never'],
    build(context) {
      context.report('instance', context.instance);
      return [scripted.part];
    },
  };
  const running = await startModule(definition, {
    sources: { environment: { HTTP_PORT: '0', HTTP_HOST: '127.0.0.1', ...options.environment } },
    log: createLog({ write: (line) => void lines.push(line) }),
    hostName: 'host',
    edge,
    ...(options.keepDesired === undefined ? {} : { keepDesired: options.keepDesired }),
    processFacts: () => ({ residentBytes: 1, cpuSeconds: 1, startTimeSeconds: 1 }),
  });
  t.after(() => running.stop(AbortSignal.abort()));
  return {
    ...scripted,
    running,
    edge,
    lines,
    async get(path) {
      const answer = await fetch(`http://127.0.0.1:${running.port}${path}`);
      const content = await answer.text();
      const body = content.startsWith('{') ? (JSON.parse(content) as JsonObject) : {};
      return { status: answer.status, body, text: content };
    },
  };
}

async function until(condition: () => boolean): Promise<void> {
  const limit = Date.now() + 5000;
  while (!condition()) {
    if (Date.now() > limit) assert.fail('it did not become true in 5 s');
    await sleep(5);
  }
}

const never = new AbortController().signal;

test('a module starts, is ready, answers its methods and reports', async (t) => {
  const { edge, get, lines, running } = await start(t);
  await until(() => edge.reported['health'] !== undefined);
  assert.equal((await get('/readyz')).status, 200);
  assert.deepEqual(await edge.invoke({ name: 'Where', payload: null, requestId: '1' }), {
    status: 200,
    payload: 'local',
  });
  assert.equal(edge.reported['instance'], 'second');
  assert.equal(running.health()['Instance'], 'second');
  assert.match(
    lines[0] ?? '',
    /module starts \{"module":"scripted","version":"1.2.3","instance":"second","edge":"standalone"\}/,
  );
  await until(() => lines.some((line) => line.includes('module is ready')));
  const { text: metrics } = await get('/metrics');
  assert.match(metrics, /^scripted_ready 1$/m);
  assert.match(metrics, /^scripted_edge_connected 0$/m);
  assert.match(metrics, /^scripted_process_cpu_seconds_total 1$/m);
});

test('the Health method answers whatever state the module is in', async (t) => {
  const { edge, get } = await start(t, { prepare: ({ starts }) => void (starts['local'] = 'fails') });
  const reply = await edge.invoke({ name: 'Health', payload: null, requestId: '1' });
  assert.equal(reply?.status, 200);
  const other = await edge.invoke({ name: 'Never', payload: null, requestId: '1' });
  assert.deepEqual(other, {
    status: 503,
    payload: { Message: 'scripted: connecting to local: refused', Status: 503 },
  });
  assert.equal((await get('/readyz')).status, 503);
  assert.equal((await get('/healthz')).status, 200);
});

test('desired properties reach the parts and the log, and are answered', async (t) => {
  const { edge, events, lines } = await start(t, { desired: { place: 'a', logLevel: 'debug' } });
  await until(() => edge.reported['place'] !== undefined);
  assert.deepEqual(events, ['create local', 'start local', 'create a', 'start a', 'stop local']);
  assert.deepEqual(edge.reported['place'], { value: 'a', ac: 200, av: 1, ad: 'in use' });
  assert.deepEqual(edge.reported['logLevel'], { value: 'debug', ac: 200, av: 1, ad: 'in use' });
  await edge.invoke({ name: 'Where', payload: null, requestId: '1' });
  assert.ok(lines.some((line) => line.startsWith('<7>')));
  edge.setDesired({ place: 'a', filter: 'x' });
  await until(() => events.includes('live x'));
});

test('desired properties with a mistake leave everything as it is, and say so', async (t) => {
  const { edge, events, lines } = await start(t, { desired: { place: 5 } });
  await until(() => edge.reported['place'] !== undefined);
  assert.deepEqual(events, ['create local', 'start local']);
  assert.deepEqual(edge.reported['place'], {
    value: 'local',
    ac: 400,
    av: 1,
    ad: 'expected a text that is not empty',
  });
  assert.match(lines.join(''), /<4>.*desired properties refused; the last good ones stay/);
});

test('accepted settings are there after a restart, without the hub and without secrets', async (t) => {
  const STATE_DIR = await mkdtemp(join(tmpdir(), 'state-'));
  t.after(() => rm(STATE_DIR, { recursive: true, force: true }));
  const first = await start(t, {
    environment: { STATE_DIR },
    keepDesired: true,
    desired: { place: 'a', token: 'hunter2' },
  });
  await until(() => first.events.includes('start a'));
  await first.running.stop(never);
  const second = await start(t, { environment: { STATE_DIR }, keepDesired: true });
  await until(() => second.events.includes('start a'));
  assert.deepEqual(second.events, ['create a', 'start a']);
  assert.equal(second.running.health()['SettingsVersion'], 1);
  assert.doesNotMatch([...first.lines, ...second.lines].join(''), /hunter2/);
});

test('stopping stops everything in order, once', async (t) => {
  const { running, edge, events, get } = await start(t);
  const [first, second] = await Promise.all([running.stop(never), running.stop(never)]);
  assert.deepEqual([first, second, events.at(-1), edge.status.state], [true, true, 'stop local', 'stopped']);
  await assert.rejects(get('/healthz'));
});

test('a part that hangs does not keep the others from being stopped', async (t) => {
  const { running, edge, lines } = await start(t, {
    environment: { STOP_DEADLINE_MS: '1000' },
    prepare: ({ stops }) => void (stops['local'] = 'hangs'),
  });
  assert.deepEqual([running.stopDeadlineMs, running.drainMs], [1000, 750]);
  const begin = performance.now();
  const isClean = await running.stop(AbortSignal.timeout(100));
  assert.ok(performance.now() - begin < 350);
  assert.deepEqual([isClean, edge.status.state], [false, 'stopped']);
  assert.match(
    lines.join(''),
    /stopping a part failed \{"part":"scripted","error":"stopping: it did not end in time"\}/,
  );
});

test('a port in use ends the start with the setting to change', async (t) => {
  const { running } = await start(t);
  await assert.rejects(
    start(t, { environment: { HTTP_PORT: String(running.port) } }),
    /environment HTTP_PORT: port \d+ is in use/,
  );
});
