import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { answerAgentMethod } from '../../../local-edge/src/agent/agent-methods.ts';
import type { MethodHost } from '../../../local-edge/src/agent/agent-methods.ts';
import { filterLines, readLogFilter } from '../../../local-edge/src/agent/log-filter.ts';
import { ModuleLog } from '../../../local-edge/src/agent/module-log.ts';
import type { LogLine } from '../../../local-edge/src/agent/module-log.ts';

function newLog(t: TestContext, maxBytes?: number): ModuleLog {
  const dir = mkdtempSync(join(tmpdir(), 'log-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return new ModuleLog(join(dir, 'logs', 'm.log'), maxBytes);
}
const texts = (lines: readonly LogLine[]) => lines.map((line) => line.text);

test('makes lines of output as it comes', (t) => {
  const log = newLog(t);
  log.write('stdout', 'one\ntw');
  log.write('stderr', 'err\r\n');
  log.write('stdout', 'o\n\nrest');
  assert.deepEqual(texts(log.read()), ['one', 'err', 'two', '']);
  log.flush();
  const lines = log.read();
  assert.deepEqual(texts(lines), ['one', 'err', 'two', '', 'rest']);
  assert.deepEqual(
    lines.map((line) => line.stream),
    ['stdout', 'stderr', 'stdout', 'stdout', 'stdout'],
  );
  for (const line of lines) assert.match(line.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
});

test('cuts a line that does not end', (t) => {
  const log = newLog(t);
  log.write('stdout', 'x'.repeat(40_000));
  assert.deepEqual(
    texts(log.read()).map((text) => text.length),
    [16_384, 16_384],
  );
});

test('keeps the newest lines within its size, in files of mode 0600', (t) => {
  const log = newLog(t, 10_000);
  for (let index = 0; index < 1000; index++) log.write('stdout', `line ${index}\n`);
  const kept = texts(log.read());
  assert.equal(kept.at(-1), 'line 999');
  assert(kept.length > 50 && kept.length < 250);
  assert(statSync(log.file).size + statSync(`${log.file}.1`).size <= 10_000);
  assert.equal(statSync(log.file).mode & 0o777, 0o600);
});

test('follows without losing or doubling a line, until told to stop', async (t) => {
  const log = newLog(t);
  log.write('stdout', 'a\nb\nc\n');
  const abort = new AbortController();
  const seen: string[] = [];
  for await (const line of log.follow(2, abort.signal)) {
    seen.push(line.text);
    if (line.text === 'c') log.write('stdout', 'd\n');
    if (line.text === 'd') {
      log.write('stdout', 'e\n');
      setTimeout(() => abort.abort(), 10);
    }
  }
  assert.deepEqual(seen, ['b', 'c', 'd', 'e']);
});

const sample: readonly LogLine[] = [
  {
    timestamp: '2026-01-01T00:00:00.000000000Z',
    stream: 'stdout',
    text: '<6> 2026-01-01 00:00:00.000 +00:00 [INF] starts',
  },
  {
    timestamp: '2026-01-01T00:01:00.000000000Z',
    stream: 'stdout',
    text: '<3> 2026-01-01 00:01:00.000 +00:00 [ERR] breaks',
  },
  { timestamp: '2026-01-01T00:02:00.000000000Z', stream: 'stderr', text: '    at a stack' },
  { timestamp: '2026-01-01T00:03:00.000000000Z', stream: 'stdout', text: '<6> plain' },
];
const now = Date.parse('2026-01-01T00:03:30Z');
const filters: readonly (readonly [unknown, string[]])[] = [
  [undefined, ['[INF] starts', '[ERR] breaks', 'at a stack', 'plain']],
  [{ loglevel: 3 }, ['[ERR] breaks']],
  // Equality, and 6 for what has no level.
  [{ loglevel: 6 }, ['[INF] starts', 'at a stack', 'plain']],
  [{ regex: 's$' }, ['[INF] starts', '[ERR] breaks']],
  [{ tail: 1, loglevel: 6 }, ['plain']],
  [{ tail: 0 }, []],
  [{ since: '2026-01-01T00:01:30Z' }, ['at a stack', 'plain']],
  [{ since: '1 minute' }, ['plain']],
  [{ since: '2 minutes 1s' }, ['at a stack', 'plain']],
  [{ until: Date.parse('2026-01-01T00:01:00Z') / 1000 }, ['[INF] starts', '[ERR] breaks']],
];
for (const [value, expected] of filters) {
  test(`filters by ${JSON.stringify(value)}`, () => {
    const filter = readLogFilter(value, now);
    assert(typeof filter !== 'string');
    assert.deepEqual(
      filterLines(sample, filter).map((line) => line.text),
      expected,
    );
  });
}
for (const value of [
  'x',
  { tail: -1 },
  { loglevel: 8 },
  { since: 'soon' },
  { until: '5 parsecs' },
  { regex: '(' },
]) {
  test(`says what is wrong with the filter ${JSON.stringify(value)}`, () => {
    assert.equal(typeof readLogFilter(value), 'string');
  });
}

function host(over: Partial<MethodHost> = {}): MethodHost & { readonly restarted: string[] } {
  const restarted: string[] = [];
  return {
    restarted,
    deviceId: 'd',
    hostName: 'h',
    modules: () => ['redis', 'redis-client', 'other'],
    restart: (name) => Promise.resolve(void restarted.push(name)),
    lines: (name) => [
      { timestamp: '2026-01-01T00:00:00.000000000Z', stream: 'stdout', text: `<4> of ${name}` },
    ],
    ...over,
  };
}
const v = { schemaVersion: '1.0' };

test('answers ping and RestartModule, in any letters', async () => {
  const agent = host();
  assert.deepEqual(await answerAgentMethod(agent, 'ping', null), { status: 200, payload: null });
  assert.deepEqual(await answerAgentMethod(agent, 'restartmodule', { ...v, id: 'redis' }), {
    status: 200,
    payload: null,
  });
  assert.deepEqual(agent.restarted, ['redis']);
});

test('answers GetModuleLogs as text, for every module that the expression matches', async () => {
  const reply = await answerAgentMethod(host(), 'GetModuleLogs', {
    ...v,
    items: [{ id: '^redis' }],
    encoding: 'none',
    contentType: 'text',
  });
  assert.deepEqual(reply, {
    status: 200,
    payload: [
      { id: 'redis', payload: '<4> of redis\n' },
      { id: 'redis-client', payload: '<4> of redis-client\n' },
    ],
  });
});

test('answers GetModuleLogs as JSON and packed', async () => {
  const reply = await answerAgentMethod(host(), 'GetModuleLogs', {
    ...v,
    items: [{ id: 'other', filter: { loglevel: 4 } }],
    encoding: 'gzip',
    contentType: 'json',
  });
  const [item] = reply.payload as { id: string; payloadBytes: string }[];
  assert(item);
  assert.deepEqual(JSON.parse(gunzipSync(Buffer.from(item.payloadBytes, 'base64')).toString()), [
    {
      iothub: 'h',
      device: 'd',
      id: 'other',
      stream: 'stdout',
      loglevel: 4,
      text: 'of other',
      timestamp: '2026-01-01T00:00:00.000000000Z',
    },
  ]);
});

const refusals: readonly (readonly [string, unknown, number, RegExp])[] = [
  ['Nope', null, 400, /'Nope' not found.*ping,RestartModule,GetModuleLogs/],
  ['UploadModuleLogs', null, 400, /UploadModuleLogs is not emulated/],
  ['UploadSupportBundle', {}, 400, /not emulated/],
  ['GetTaskStatus', {}, 400, /not emulated/],
  ['RestartModule', null, 400, /payload not found/],
  ['RestartModule', { id: 'redis' }, 400, /schemaVersion/],
  ['RestartModule', { ...v, id: 'nope' }, 500, /nope not found/],
  ['GetModuleLogs', { ...v }, 400, /items/],
  ['GetModuleLogs', { ...v, items: [{ id: '(' }] }, 400, /regular expression/],
  ['GetModuleLogs', { ...v, items: [{ id: 'all', filter: { tail: -1 } }] }, 400, /tail/],
  ['GetModuleLogs', { ...v, items: [{ id: 'all' }], encoding: 'zip' }, 400, /encoding/],
];
for (const [name, payload, status, message] of refusals) {
  test(`answers ${status} to ${name} ${JSON.stringify(payload)}`, async () => {
    const reply = await answerAgentMethod(host(), name, payload as null);
    assert.equal(reply.status, status);
    assert.match((reply.payload as { message: string }).message, message);
  });
}

test('answers 400 when the logs are too large for a direct method', async () => {
  const big = host({
    lines: () => [
      { timestamp: '2026-01-01T00:00:00.000000000Z', stream: 'stdout', text: 'x'.repeat(127_001) },
    ],
  });
  const reply = await answerAgentMethod(big, 'GetModuleLogs', { ...v, items: [{ id: 'redis$' }] });
  assert.equal(reply.status, 400);
  assert.match(JSON.stringify(reply.payload), /too large/);
});
