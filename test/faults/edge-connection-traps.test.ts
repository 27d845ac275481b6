import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import type { AzureEdgeOptions } from '../../modules/common/src/edge/azure-edge.ts';
import { AZURE_LIMITS } from '../../modules/common/src/edge/azure-edge.ts';
import type { AzureModule } from '../helpers/azure-module.ts';
import { createAzureModule } from '../helpers/azure-module.ts';
import type { TestEdge } from '../helpers/edge.ts';
import { startTestEdge } from '../helpers/edge.ts';

interface Pair {
  readonly local: TestEdge;
  readonly module: AzureModule;
  readonly inputs: string[];
}

const FEED = 'FROM /messages/modules/feeder/* INTO BrokeredEndpoint("/modules/m/inputs/in")';

/** The module `m`, with a method, an input and everything listened to, against the local edge. */
async function pair(t: TestContext, options?: Partial<AzureEdgeOptions>): Promise<Pair> {
  const local = await startTestEdge();
  local.hub.twins.patchDesired('$edgeHub', {
    desired: {
      schemaVersion: '1.1',
      routes: { up: 'FROM /messages/modules/m/* INTO $upstream', feed: FEED },
      storeAndForwardConfiguration: { timeToLiveSecs: 60 },
    },
  });
  const module = createAzureModule(await local.environment('m'), options);
  const inputs: string[] = [];
  module.edge.onMethod('Echo', ({ payload }) => Promise.resolve({ status: 200, payload }));
  module.edge.onInput('in', (message) => Promise.resolve(void inputs.push(message.data.toString())));
  t.after(async () => {
    await module.stop();
    await local.stop();
  });
  return { local, module, inputs };
}

/** Everything the port promises works at this moment. */
async function works({ local, module }: Pair): Promise<void> {
  const stamp = Math.random();
  await module.connected();
  assert.deepEqual(await local.invoke('m', 'Echo', { stamp }), {
    kind: 'reply',
    status: 200,
    payload: { stamp },
  });
  await module.edge.report({ stamp });
  assert.equal(local.hub.twins.get('m')?.reported.properties['stamp'], stamp);
  await module.edge.send('out', { data: Buffer.from(String(stamp)), properties: {} });
  assert.ok(local.hub.events.recent().some(({ body }) => body.toString() === String(stamp)));
  local.hub.twins.patchDesired('m', { desired: { stamp } });
  await module.until(() => module.documents.at(-1)?.properties['stamp'] === stamp);
}

async function lost({ module }: Pair): Promise<void> {
  await module.until(() => module.statuses.at(-1)?.state !== 'connected');
}

test('everything works on a new connection', async (t) => {
  const both = await pair(t);
  both.module.edge.start();
  await works(both);
  assert.deepEqual(
    both.module.statuses.map(({ state }) => state),
    ['connecting', 'connected'],
  );
  assert.equal(both.module.reports.length, 1);
});

test('edgeHub not up at start: the module connects as soon as it is there', async (t) => {
  const both = await pair(t);
  both.local.hub.faults.refuse = true;
  both.module.edge.start();
  await both.module.until(
    () => both.module.statuses.filter(({ state }) => state === 'disconnected').length >= 3,
  );
  assert.match(both.module.edge.status.reason ?? '', /ECONNREFUSED/);
  both.local.hub.faults.refuse = false;
  await works(both);
});

test('FIN: the connection is made anew, with everything subscribed', async (t) => {
  const both = await pair(t);
  both.module.edge.start();
  await works(both);
  both.local.hub.drop('fin', 'm');
  await lost(both);
  assert.ok(both.module.statuses.some(({ reason }) => reason?.includes('closed by edgeHub')));
  await works(both);
});

test('RST: the connection is made anew, with everything subscribed', async (t) => {
  const both = await pair(t);
  both.module.edge.start();
  await works(both);
  both.local.hub.drop('rst', 'm');
  await lost(both);
  assert.ok(both.module.statuses.some(({ reason }) => reason?.includes('ECONNRESET')));
  await works(both);
});

for (const code of [3, 5]) {
  test(`CONNACK ${code}: the reason is told, and the module connects when it is over`, async (t) => {
    const both = await pair(t);
    both.local.hub.faults.connack = code;
    both.module.edge.start();
    await both.module.until(
      () => both.module.statuses.filter(({ state }) => state === 'disconnected').length >= 2,
    );
    assert.match(both.module.edge.status.reason ?? '', new RegExp(`CONNACK ${code}`));
    both.local.hub.faults.connack = null;
    await works(both);
  });
}

test('silent peer: noticed by keepalive within two of its periods, without reading twins', async (t) => {
  const both = await pair(t, { limits: { keepaliveSeconds: 1 } });
  both.module.edge.start();
  await works(both);
  both.local.hub.faults.stall = true;
  const begin = performance.now();
  await lost(both);
  assert.ok(performance.now() - begin < 2500);
  assert.ok(both.module.statuses.some(({ reason }) => reason?.includes('keepalive')));
  both.local.hub.faults.stall = false;
  await works(both);
});

test('silent peer: with the keepalive that modules run with, two periods are 30 s', () => {
  assert.equal(AZURE_LIMITS.keepaliveSeconds * 2, 30);
});

test('silent peer at the connect: given up after the time limit, and tried again', async (t) => {
  const both = await pair(t, { limits: { connectMs: 200 } });
  both.local.hub.faults.stall = true;
  both.module.edge.start();
  await both.module.until(
    () => both.module.statuses.filter(({ state }) => state === 'disconnected').length >= 2,
  );
  both.local.hub.faults.stall = false;
  await works(both);
});

test('twin changed while away: the whole document is delivered after the reconnect', async (t) => {
  const both = await pair(t);
  const { local, module } = both;
  local.hub.twins.patchDesired('m', { desired: { a: 1, list: [1, 2], gone: true } });
  module.edge.start();
  await module.until(() => module.documents.length === 1);
  local.hub.faults.refuse = true;
  local.hub.drop('fin', 'm');
  await lost(both);
  local.hub.twins.patchDesired('m', { desired: { a: 2, list: [3], gone: null } });
  local.hub.faults.refuse = false;
  await module.until(() => module.documents.length === 2);
  assert.deepEqual(module.documents[1]?.properties, { a: 2, list: [3] });
  assert.equal(module.reports.length, 2, 'the reported section is handed over after each connect');
});

test('twin not changed while away: nothing is delivered again', async (t) => {
  const both = await pair(t);
  const { local, module } = both;
  local.hub.twins.patchDesired('m', { desired: { a: 1 } });
  module.edge.start();
  await module.until(() => module.documents.length === 1);
  local.hub.drop('fin', 'm');
  await module.until(() => module.reports.length === 2);
  await works(both);
  assert.equal(module.documents.length, 2);
});

test('getTwin that never answers: methods work meanwhile, and the connection is replaced after three reads', async (t) => {
  const both = await pair(t, { limits: { answerMs: 150 }, random: () => 0 });
  const { local, module } = both;
  local.hub.faults.noTwinReply = true;
  module.edge.start();
  await module.connected();
  assert.equal((await local.invoke('m', 'Echo', 1)).kind, 'reply');
  await module.until(() => local.connects('m') >= 2, 10_000);
  local.hub.faults.noTwinReply = false;
  await works(both);
});

test('edgeHub restarted without its sessions: the subscriptions come back', async (t) => {
  const both = await pair(t);
  both.module.edge.start();
  await works(both);
  both.local.hub.loseSessions();
  both.local.hub.drop('fin', 'm');
  await lost(both);
  await works(both);
});

test('messages for an input that came while the module was away arrive', async (t) => {
  const both = await pair(t);
  const { local, module, inputs } = both;
  const feeder = createAzureModule(await local.environment('feeder'));
  t.after(() => feeder.stop());
  feeder.edge.start();
  module.edge.start();
  await works(both);
  await feeder.connected();
  local.hub.faults.refuse = true;
  local.hub.drop('rst', 'm');
  await lost(both);
  for (const text of ['one', 'two', 'three']) {
    await feeder.edge.send('out', { data: Buffer.from(text), properties: {} });
  }
  local.hub.faults.refuse = false;
  await module.until(() => inputs.length >= 3);
  assert.deepEqual(inputs, ['one', 'two', 'three']);
});

test('duplicate client id: two modules with one identity do not fight without end, and say what may be wrong', async (t) => {
  const both = await pair(t, { backoff: { firstMs: 50, maxMs: 5000 } });
  const { local, module } = both;
  const twin = createAzureModule(await local.environment('m'), { backoff: { firstMs: 50, maxMs: 5000 } });
  t.after(() => twin.stop());
  module.edge.start();
  twin.edge.start();
  const all = [module, twin];
  await module.until(
    () =>
      all.some(({ lines }) => lines.some((line) => line.includes('another client with the same identity'))),
    10_000,
  );
  const before = local.connects('m');
  await new Promise((resolve) => setTimeout(resolve, 1000));
  assert.ok(local.connects('m') - before <= 6, `${local.connects('m') - before} connections in a second`);
  await twin.stop();
  await module.until(() => module.edge.status.state === 'connected', 10_000);
});

test('no PUBACK: sending rejects by its own limit, three in a row replace the connection, and stopping does not wait', async (t) => {
  const both = await pair(t, { limits: { sendMs: 100 } });
  const { local, module } = both;
  module.edge.start();
  await works(both);
  local.hub.faults.noPuback = true;
  const send = (): Promise<void> => module.edge.send('out', { data: Buffer.from('x'), properties: {} });
  for (let time = 1; time <= 3; time += 1)
    await assert.rejects(send(), { code: 'EDGE_UNAVAILABLE', retryable: true });
  await module.until(() => local.connects('m') === 2);
  await module.connected();
  await assert.rejects(send(), { code: 'EDGE_UNAVAILABLE' });
  const begin = performance.now();
  await module.stop();
  assert.ok(performance.now() - begin < 400);
});

test('a send and a report that wait when the link drops are rejected at once', async (t) => {
  const both = await pair(t, { limits: { sendMs: 20_000, answerMs: 20_000 } });
  const { local, module } = both;
  module.edge.start();
  await works(both);
  for (const how of ['fin', 'rst'] as const) {
    local.hub.faults.stall = true;
    const send = module.edge.send('out', { data: Buffer.from('x'), properties: {} });
    const report = module.edge.report({ waits: how });
    const settled = Promise.allSettled([send, report]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    local.hub.drop(how, 'm');
    for (const result of await settled) {
      assert.ok(result.status === 'rejected');
      assert.equal((result.reason as { code: string }).code, 'EDGE_UNAVAILABLE');
    }
    local.hub.faults.stall = false;
    await works(both);
  }
});
