import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { onEnd } from '../helpers/cleanup.ts';
import { edgeProgram, manifestOf, startEdge } from '../helpers/edge-process.ts';
import type { EdgeProcess, EdgeStart } from '../helpers/edge-process.ts';
import { startPlainModule } from '../helpers/plain-module.ts';
import { eventually } from '../helpers/site.ts';

const routes = {
  aToB: 'FROM /messages/modules/a/outputs/out1 INTO BrokeredEndpoint("/modules/b/inputs/in1")',
  urgent:
    'FROM /messages/modules/a/outputs/readings WHERE level = "high" INTO BrokeredEndpoint("/modules/b/inputs/alarms")',
  toCloud: 'FROM /messages/modules/a/outputs/cloud INTO $upstream',
};

/** A local edge whose deployment has the routes of these tests. */
async function startRouted(t: TestContext, options: EdgeStart = {}): Promise<EdgeProcess> {
  const edge = await startEdge(t, options);
  const manifest = manifestOf(edge);
  Object.assign(manifest.modulesContent.$edgeHub['properties.desired'].routes, routes);
  const file = join(edge.stateDir, 'routed.json');
  writeFileSync(file, JSON.stringify(manifest));
  await edge.ok('set-modules', '--content', file);
  return edge;
}

test('a module on the plain SDK sends by route to another one, with its properties', async (t) => {
  const edge = await startRouted(t);
  const a = await startPlainModule(t, edge, 'a');
  const b = await startPlainModule(t, edge, 'b');
  await a.send({
    output: 'out1',
    text: 'grüße 🌍',
    contentType: 'application/json',
    properties: { 'my prop': 'a/b&c=ü' },
  });
  const [message] = await b.received('in1', 1);
  assert.equal(message?.text, 'grüße 🌍');
  assert.deepEqual(message.properties, { 'my prop': 'a/b&c=ü', '$.cdid': 'local-edge', '$.cmid': 'a' });
  await a.send({ output: 'readings', text: 'calm', properties: { level: 'low' } });
  await a.send({ output: 'readings', text: 'alarm', properties: { level: 'high' } });
  const alarms = await b.received('alarms', 1);
  assert.deepEqual(
    alarms.map((one) => one.text),
    ['alarm'],
  );
});

test('edge monitor-events shows what is sent INTO $upstream, and nothing else', async (t) => {
  const edge = await startRouted(t);
  const a = await startPlainModule(t, edge, 'a');
  const argv = [
    edgeProgram,
    'monitor-events',
    '--message-count',
    '1',
    '--timeout',
    '20',
    '--properties',
    'app',
  ];
  const monitor = spawn(process.execPath, argv, { env: edge.env, stdio: ['ignore', 'pipe', 'pipe'] });
  onEnd(t, () => void monitor.kill('SIGKILL'));
  let [shown, said] = ['', ''];
  monitor.stdout.on('data', (chunk: Buffer) => (shown += chunk.toString()));
  monitor.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await eventually(
    () => said,
    (text) => text.startsWith('Starting event monitor'),
  );
  await a.send({ output: 'nowhere', text: 'unrouted' });
  await a.send({
    output: 'cloud',
    text: '{"t":21.5}',
    contentType: 'application/json',
    properties: { unit: 'C' },
  });
  await eventually(
    () => monitor.exitCode,
    (code) => code === 0,
  );
  assert.deepEqual(JSON.parse(shown), {
    event: {
      origin: 'local-edge',
      module: 'a',
      interface: '',
      component: '',
      properties: { application: { unit: 'C' } },
      payload: { t: 21.5 },
    },
  });
});

test('it reports properties, and gets desired ones as patches', async (t) => {
  const edge = await startEdge(t);
  const a = await startPlainModule(t, edge, 'a');
  await edge.ok('module-twin', 'update', '-m', 'a', '--desired', '{"speed":1,"list":[1,2,3]}');
  const first = (await a.twin()) as { desired: Record<string, unknown> };
  assert.deepEqual(first.desired, { speed: 1, list: [1, 2, 3], $version: 2 });
  await a.report({ state: { running: true, gone: 1 } });
  await a.report({ state: { gone: null } });
  const shown = await edge.json('module-twin', 'show', '-m', 'a');
  assert.match(JSON.stringify(shown), /"reported":\{"state":\{"running":true\},"\$metadata"/);

  await edge.ok('module-twin', 'update', '-m', 'a', '--desired', '{"speed":null,"list":[9]}');
  const patches = await eventually(
    () => a.events.flatMap((one) => (one.event === 'desired' ? [one.patch] : [])),
    (found) => found.some((patch) => patch?.['$version'] === 3),
  );
  assert.deepEqual(patches.at(-1), { speed: null, list: [9], $version: 3 });
});

test('modules call each other: a plain one the redis-client, a sibling the plain one', async (t) => {
  const edge = await startEdge(t);
  const a = await startPlainModule(t, edge, 'a');
  const b = await startPlainModule(t, edge, 'b');
  assert.deepEqual(await a.invoke('redis-client', 'SetItem', 'from:a sibling'), {
    status: 200,
    payload: { Message: "Written:True => key = 'from', value = 'a sibling'", Status: 200 },
  });
  assert.deepEqual(await b.invoke('redis-client', 'GetItem', 'from'), {
    status: 200,
    payload: { Message: 'a sibling', Status: 200 },
  });
  assert.deepEqual(await b.invoke('a', 'Greet', { name: 'b' }), {
    status: 207,
    payload: { greeted: { name: 'b' } },
  });
  // The cloud sees the module's own status in the same way.
  assert.deepEqual(await edge.invoke('a', 'Greet', 'hello'), { status: 207, payload: { greeted: 'hello' } });
  await assert.rejects(a.invoke('nobody', 'Greet', null), /Not found|not found/);
});

test('what is sent to a module that is away waits for it, also over a restart of the local edge', async (t) => {
  const edge = await startRouted(t);
  const a = await startPlainModule(t, edge, 'a');
  for (const text of ['one', 'two', 'three']) await a.send({ output: 'out1', text });
  const early = await startPlainModule(t, edge, 'b');
  const texts = (events: readonly { text?: string }[]) => events.map((one) => one.text);
  assert.deepEqual(texts(await early.received('in1', 3)), ['one', 'two', 'three']);
  await early.close();

  for (const text of ['four', 'five']) await a.send({ output: 'out1', text });
  await a.close();
  assert.equal(await edge.interrupt(), 0);
  const again = await startEdge(t, { stateDir: edge.stateDir });
  const late = await startPlainModule(t, again, 'b');
  assert.deepEqual(texts(await late.received('in1', 2)), ['four', 'five']);
});

test('a module by hand finds its way back when the local edge is restarted', async (t) => {
  const edge = await startRouted(t);
  const a = await startPlainModule(t, edge, 'a');
  const b = await startPlainModule(t, edge, 'b');
  await a.twin();
  await edge.interrupt();
  // edgeHub is on another port now; the table of names leads a Node program there.
  const again = await startEdge(t, { stateDir: edge.stateDir });
  await again.ok('module-twin', 'update', '-m', 'a', '--desired', '{"after":"the restart"}');
  await eventually(
    () => again.run('invoke-module-method', '-m', 'b', '--mn', 'Greet', '--mp', '1', '--to', '5'),
    (result) => result.code === 0,
    20_000,
  );
  await a.send({ output: 'out1', text: 'still routed' });
  const [message] = await b.received('in1', 1);
  assert.equal(message?.text, 'still routed');
});
