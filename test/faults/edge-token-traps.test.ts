import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import type { AzureModule } from '../helpers/azure-module.ts';
import { createAzureModule } from '../helpers/azure-module.ts';
import type { TestEdge } from '../helpers/edge.ts';
import { startTestEdge } from '../helpers/edge.ts';

const HOUR = 60 * 60 * 1000;

async function start(t: TestContext): Promise<{ local: TestEdge; environment: Record<string, string> }> {
  const local = await startTestEdge();
  t.after(() => local.stop());
  return { local, environment: await local.environment('m') };
}

function createModule(
  t: TestContext,
  environment: Record<string, string>,
  tokenLifetimeMs = HOUR,
): AzureModule {
  const module = createAzureModule(environment, { tokenLifetimeMs });
  module.edge.onMethod('Echo', ({ payload }) => Promise.resolve({ status: 200, payload }));
  module.edge.onMethod('Slow', async ({ payload }) => {
    await new Promise((resolve) => setTimeout(resolve, 700));
    return { status: 200, payload };
  });
  module.edge.start();
  t.after(() => module.stop());
  return module;
}

const disconnects = ({ statuses }: AzureModule): number =>
  statuses.filter(({ state }) => state === 'disconnected').length;

test('token renewal: the connection is exchanged in time, methods and twin go on, and no loss is seen', async (t) => {
  const { local, environment } = await start(t);
  const module = createModule(t, environment, 2000);
  await module.until(() => local.connects('m') >= 3, 8000);
  // The server has forgotten the session: only a client that subscribes anew is reached.
  local.hub.loseSessions();
  await module.until(() => local.connects('m') >= 4, 8000);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(await local.invoke('m', 'Echo', 1), { kind: 'reply', status: 200, payload: 1 });
  local.hub.twins.patchDesired('m', { desired: { a: 1 } });
  await module.until(() => module.documents.at(-1)?.properties['a'] === 1);
  assert.equal(disconnects(module), 0);
});

test('token renewal: a method under way is answered before the connection is exchanged', async (t) => {
  const { local, environment } = await start(t);
  const module = createModule(t, environment, 2000);
  await module.connected();
  const replies: string[] = [];
  const end = performance.now() + 2500;
  while (performance.now() < end) {
    const outcome = await local.invoke('m', 'Slow', 1);
    replies.push(outcome.kind);
  }
  assert.ok(local.connects('m') >= 2, 'the connection was exchanged meanwhile');
  assert.ok(
    replies.every((kind) => kind === 'reply' || kind === 'notOnline'),
    replies.join(),
  );
  assert.ok(replies.filter((kind) => kind === 'reply').length >= 3, replies.join());
});

test('token renewal: reports and sends meanwhile succeed', async (t) => {
  const { local, environment } = await start(t);
  const module = createModule(t, environment, 1500);
  await module.connected();
  for (let count = 0; local.connects('m') < 3; count += 1) {
    await module.edge.report({ count });
    await module.edge.send('out', { data: Buffer.from('x'), properties: {} });
  }
  assert.equal(disconnects(module), 0);
});

test('a token that expired all the same: edgeHub drops the connection, and a new token is made', async (t) => {
  const { local, environment } = await start(t);
  const module = createModule(t, environment);
  await module.connected();
  local.hub.shiftTokenClock(2 * HOUR);
  await module.until(() => (module.edge.status.reason ?? '').includes('CONNACK 5'));
  local.hub.shiftTokenClock(0);
  await module.connected();
  assert.equal((await local.invoke('m', 'Echo', 1)).kind, 'reply');
});

for (const [what, fault] of [
  ['trust-bundle answers 500', 'trustBundleFails'],
  ['sign answers 500', 'signFails'],
] as const) {
  test(`workload API failing: ${what}, then recovers`, async (t) => {
    const { local, environment } = await start(t);
    local.hub.faults[fault] = true;
    const module = createModule(t, environment);
    await module.until(() => disconnects(module) >= 2);
    assert.match(module.edge.status.reason ?? '', /asking the workload API for .*status 500/);
    local.hub.faults[fault] = false;
    await module.connected();
  });

  test(`workload API failing: ${what} at the renewal of the token: the connection lives on`, async (t) => {
    const { local, environment } = await start(t);
    const module = createModule(t, environment, 3000);
    await module.connected();
    local.hub.faults[fault] = true;
    await module.until(() => module.lines.some((line) => line.includes('renewing the token failed')), 4000);
    assert.equal((await local.invoke('m', 'Echo', 1)).kind, 'reply');
    local.hub.faults[fault] = false;
    await module.until(() => local.connects('m') >= 2);
    assert.equal(disconnects(module), 0);
  });
}

test('workload API failing: its socket is missing, then comes back', async (t) => {
  const { local, environment } = await start(t);
  await local.workload.close('m');
  const module = createModule(t, environment);
  await module.until(() => disconnects(module) >= 2);
  assert.match(module.edge.status.reason ?? '', /asking the workload API .*(ENOENT|ECONNREFUSED)/);
  await local.workload.listen('m');
  await module.connected();
});

for (const [what, status, body, text] of [
  ['answers without JSON', 200, '<html>', /not JSON/],
  ['answers without what was asked for', 200, '{}', /has no (certificate|digest)/],
  ['answers 404', 404, '{"message":"no"}', /status 404/],
  ['answers without end', 200, 'x'.repeat(2 * 1024 * 1024), /too long/],
] as const) {
  test(`workload API failing: over HTTP, it ${what}`, async (t) => {
    const { environment } = await start(t);
    const server = createServer((_, response) => {
      response.writeHead(status, { 'Content-Type': 'application/json' });
      response.end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    const module = createModule(t, { ...environment, IOTEDGE_WORKLOADURI: `http://127.0.0.1:${port}` });
    await module.until(() => disconnects(module) >= 1);
    assert.match(module.edge.status.reason ?? '', text);
  });
}

test('workload API failing: one that never answers does not hold up the stop, and keeps no socket', async (t) => {
  const { environment } = await start(t);
  let open = 0;
  const server = createServer(() => undefined);
  server.on('connection', (socket) => {
    open += 1;
    socket.on('close', () => (open -= 1));
    socket.on('error', () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const module = createModule(t, { ...environment, IOTEDGE_WORKLOADURI: `http://127.0.0.1:${port}` });
  await module.until(() => open === 2);
  const begin = performance.now();
  await module.stop();
  assert.ok(performance.now() - begin < 500);
  await module.until(() => open === 0);
});
