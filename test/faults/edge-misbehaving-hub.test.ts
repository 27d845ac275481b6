import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import type { AzureEdgeOptions } from '../../modules/common/src/edge/azure-edge.ts';
import type { AzureModule } from '../helpers/azure-module.ts';
import { createAzureModule } from '../helpers/azure-module.ts';
import type { ScriptedEdgeHub } from '../helpers/scripted-edge-hub.ts';
import { DESIRED_PATCH, startScriptedEdgeHub, TWIN_READ } from '../helpers/scripted-edge-hub.ts';

interface Pair {
  readonly hub: ScriptedEdgeHub;
  readonly module: AzureModule;
}

async function pair(t: TestContext, options?: Partial<AzureEdgeOptions>): Promise<Pair> {
  const hub = await startScriptedEdgeHub();
  const module = createAzureModule(hub.environment, options);
  t.after(async () => {
    await module.stop();
    await hub.stop();
  });
  return { hub, module };
}

const twin = (desired: object): [number, string] => [
  200,
  JSON.stringify({ desired, reported: { kept: 1, $version: 4 } }),
];
const patch = (hub: ScriptedEdgeHub, version: number, body: object): void =>
  hub.publish(`${DESIRED_PATCH}?$version=${version}`, JSON.stringify({ ...body, $version: version }));
const reads = (hub: ScriptedEdgeHub): number =>
  hub.received.filter(({ topic }) => topic.startsWith(TWIN_READ)).length;

test('patches out of order or twice: versions never go back and nothing is lost', async (t) => {
  const { hub, module } = await pair(t);
  hub.answers.twin = () => twin({ a: 1, $version: 5 });
  module.edge.start();
  await module.until(() => module.documents.length === 1);
  patch(hub, 7, { c: 7 });
  patch(hub, 6, { b: 6 });
  patch(hub, 6, { b: 'again' });
  patch(hub, 5, { a: 'old' });
  patch(hub, 8, { a: null });
  await module.until(() => module.documents.at(-1)?.version === 8);
  assert.deepEqual(
    module.documents.map(({ version }) => version),
    [5, 7, 8],
  );
  assert.deepEqual(module.documents.at(-1)?.properties, { b: 6, c: 7 });
});

test('a gap in the versions of patches is followed by a full read', async (t) => {
  const { hub, module } = await pair(t);
  hub.answers.twin = () => twin({ a: 1, $version: 5 });
  module.edge.start();
  await module.until(() => module.documents.length === 1);
  hub.answers.twin = () => twin({ a: 8, b: 8, $version: 8 });
  patch(hub, 8, { b: 8 });
  await module.until(() => module.documents.at(-1)?.version === 8);
  assert.deepEqual(module.documents.at(-1)?.properties, { a: 8, b: 8 });
  assert.equal(reads(hub), 2);
});

test('array-valued properties replaced rather than merged', async (t) => {
  const { hub, module } = await pair(t);
  hub.answers.twin = () => twin({ list: [1, 2, 3], deep: { list: [{ a: 1 }, { b: 2 }] }, $version: 1 });
  module.edge.start();
  await module.until(() => module.documents.length === 1);
  patch(hub, 2, { list: [9], deep: { list: [{ c: 3 }] } });
  await module.until(() => module.documents.length === 2);
  assert.deepEqual(module.documents[1]?.properties, { list: [9], deep: { list: [{ c: 3 }] } });
});

test('the twin is read after the subscription, and the reported section is handed over without its version', async (t) => {
  const { hub, module } = await pair(t);
  module.edge.onMethod('M', () => Promise.resolve({ status: 200, payload: null }));
  module.edge.onInput('in', () => Promise.resolve());
  hub.answers.twin = () => {
    assert.ok(hub.subscriptions.includes(`${DESIRED_PATCH}#`));
    return twin({ $version: 1 });
  };
  module.edge.start();
  await module.until(() => module.reports.length === 1);
  assert.deepEqual(module.reports, [{ kept: 1 }]);
  assert.deepEqual(module.documents, [{ properties: {}, version: 1 }]);
  assert.deepEqual(
    [...hub.subscriptions].sort(),
    [
      '$iothub/methods/POST/#',
      `${DESIRED_PATCH}#`,
      '$iothub/twin/res/#',
      'devices/d/modules/m/inputs/#',
    ].sort(),
  );
});

test('a restored session that delivers before the first SUBSCRIBE loses neither methods nor inputs nor patches', async (t) => {
  const { hub, module } = await pair(t);
  const taken: string[] = [];
  module.edge.onMethod('M', ({ payload }) => Promise.resolve({ status: 200, payload }));
  module.edge.onInput('in', (message) => Promise.resolve(void taken.push(message.data.toString())));
  hub.answers.twin = () => twin({ a: 1, $version: 2 });
  hub.answers.restored = [
    { topic: '$iothub/methods/POST/M/?$rid=first', payload: '"hello"' },
    { topic: 'devices/d/modules/m/inputs/in/%24.cdid=d', payload: 'early' },
    { topic: `${DESIRED_PATCH}?$version=3`, payload: '{"b":2,"$version":3}' },
  ];
  module.edge.start();
  const reply = await hub.seen('$iothub/methods/res/');
  assert.deepEqual(reply, { topic: '$iothub/methods/res/200/?$rid=first', payload: '"hello"' });
  await module.until(() => module.documents.at(-1)?.version === 3);
  assert.deepEqual(module.documents.at(-1)?.properties, { a: 1, b: 2 });
  assert.deepEqual(taken, ['early']);
  assert.equal(reads(hub), 1);
});

test('an unknown method name is answered, though the SDK has no handler for it', async (t) => {
  const { hub, module } = await pair(t);
  module.edge.onMethod('Known', () => Promise.resolve({ status: 200, payload: null }));
  module.edge.start();
  await module.connected();
  hub.publish('$iothub/methods/POST/known/?$rid=7', 'null');
  const reply = await hub.seen('$iothub/methods/res/');
  assert.equal(reply.topic, '$iothub/methods/res/501/?$rid=7');
  assert.deepEqual(JSON.parse(reply.payload), { Message: "Unknown method 'known'", Status: 501 });
});

test('an empty payload reaches the handler as null, and bad JSON is answered with 400', async (t) => {
  const { hub, module } = await pair(t);
  module.edge.onMethod('M', ({ payload }) => Promise.resolve({ status: 200, payload: [payload] }));
  module.edge.start();
  await module.connected();
  hub.publish('$iothub/methods/POST/M/?$rid=1', '');
  hub.publish('$iothub/methods/POST/M/?$rid=2', '{');
  assert.equal((await hub.seen('$iothub/methods/res/200/?$rid=1')).payload, '[null]');
  assert.match((await hub.seen('$iothub/methods/res/400/?$rid=2')).payload, /"Status":400/);
});

test('a body that the SDK would parse unguarded does not end the process, and the twin is read again', async (t) => {
  const { hub, module } = await pair(t);
  hub.answers.twin = () => twin({ a: 1, $version: 1 });
  module.edge.start();
  await module.until(() => module.documents.length === 1);
  hub.answers.twin = () => twin({ a: 2, $version: 2 });
  hub.publish(`${DESIRED_PATCH}?$version=2`, '{"a":');
  await module.until(() => module.documents.length === 2);
  hub.publish('devices/d/modules/m/inputs/in/%ZZ=1', 'x');
  hub.publish('$iothub/methods/POST/', 'null');
  hub.publish('$iothub/twin/res/200/?$rid=unknown', 'x');
  patch(hub, 3, { a: 3 });
  await module.until(() => module.documents.at(-1)?.version === 3);
});

for (const [what, body] of [
  ['an empty body', [200, '']],
  ['no JSON', [200, '<html>']],
  ['status 500 and an empty body', [500, '']],
] as const) {
  test(`a twin read answered with ${what} is tried again on the same connection`, async (t) => {
    const { hub, module } = await pair(t, { random: () => 0 });
    hub.answers.twin = () => [body[0], body[1]];
    module.edge.start();
    await hub.seen(TWIN_READ);
    await module.until(() => module.lines.some((line) => line.includes('reading the twin failed')));
    hub.answers.twin = () => twin({ a: 1, $version: 1 });
    await module.until(() => module.documents.length === 1);
    assert.equal(hub.connects.length, 1);
  });
}

test('reported refused: status 400 with an empty body, which the SDK takes for success, rejects', async (t) => {
  const { hub, module } = await pair(t);
  module.edge.start();
  await module.connected();
  await module.edge.report({ a: 1 });
  hub.answers.reported = () => [400, ''];
  await assert.rejects(module.edge.report({ a: 1 }), { code: 'EDGE_REFUSED', retryable: false });
  hub.answers.reported = () => [500, ''];
  await assert.rejects(module.edge.report({ a: 1 }), { code: 'EDGE_UNAVAILABLE', retryable: true });
  hub.answers.reported = () => [200, '{"errorCode":429001,"message":"busy"}'];
  await assert.rejects(module.edge.report({ a: 1 }));
});

test('reported update that never answers rejects by its own limit, and three in a row replace the connection', async (t) => {
  const { hub, module } = await pair(t, { limits: { answerMs: 100 } });
  module.edge.start();
  await module.until(() => module.documents.length === 1);
  hub.answers.reported = () => undefined;
  for (let time = 1; time <= 3; time += 1) {
    await assert.rejects(module.edge.report({ a: time }), { code: 'EDGE_UNAVAILABLE', retryable: true });
  }
  await module.until(() => hub.connects.length === 2);
  hub.answers.reported = () => [204, ''];
  await module.connected();
  await module.edge.report({ a: 4 });
});

test('an edgeHub that never acknowledges a subscription is given up, and tried again', async (t) => {
  const { hub, module } = await pair(t, { limits: { answerMs: 100 } });
  hub.answers.suback = false;
  module.edge.start();
  await module.until(() => hub.connects.length >= 2);
  assert.ok(module.statuses.every(({ state }) => state !== 'connected'));
  hub.answers.suback = true;
  await module.connected();
});

test('keepalive is 15 s unless a test says otherwise, and sessions are kept', async (t) => {
  const { hub, module } = await pair(t);
  module.edge.start();
  await module.connected();
  const [connect] = hub.connects;
  assert.ok(connect?.cmd === 'connect');
  assert.equal(connect.keepalive, 15);
  assert.equal(connect.clean, false);
  assert.equal(connect.clientId, 'd/m');
  assert.match(connect.username ?? '', /^hub\.local\/d\/m\/\?api-version=.*DeviceClientType=/);
});

test('silent peer: what notices it is the missing answer to a ping, and the twin is not read for it', async (t) => {
  const { hub, module } = await pair(t, { limits: { keepaliveSeconds: 1 } });
  module.edge.start();
  await module.until(() => module.documents.length === 1);
  await new Promise((resolve) => setTimeout(resolve, 2500));
  assert.equal(module.edge.status.state, 'connected', 'a peer that answers pings is not silent');
  hub.answers.pingresp = false;
  await module.until(() => module.edge.status.state !== 'connected', 2500);
  assert.equal(reads(hub), 1);
});

test('stopping with a peer that does not close its side takes no longer than the limit for closing', async (t) => {
  const { hub, module } = await pair(t, { limits: { closeMs: 300 } });
  module.edge.start();
  await module.connected();
  hub.freeze();
  const begin = performance.now();
  await module.edge.stop(new AbortController().signal);
  const took = performance.now() - begin;
  assert.ok(took >= 250 && took < 1000, `${took} ms`);
});

test('stopping that waits for such a peer is cut short by its signal', async (t) => {
  const { hub, module } = await pair(t, { limits: { closeMs: 20_000 } });
  module.edge.start();
  await module.connected();
  hub.freeze();
  const begin = performance.now();
  await module.edge.stop(AbortSignal.timeout(200));
  assert.ok(performance.now() - begin < 1000);
});
