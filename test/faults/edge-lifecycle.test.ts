import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { AzureModule } from '../helpers/azure-module.ts';
import { createAzureModule } from '../helpers/azure-module.ts';
import type { TestEdge } from '../helpers/edge.ts';
import { startTestEdge } from '../helpers/edge.ts';
import { createHeldClock } from '../helpers/held-clock.ts';

async function pair(t: TestContext): Promise<{ local: TestEdge; module: AzureModule }> {
  const local = await startTestEdge();
  const module = createAzureModule(await local.environment('m'));
  t.after(async () => {
    await module.stop();
    await local.stop();
  });
  return { local, module };
}

const problem = (Message: string): object => ({
  kind: 'reply',
  status: 500,
  payload: { Message, Status: 500 },
});

test('a handler that throws or rejects still answers, with 500', async (t) => {
  const { local, module } = await pair(t);
  module.edge.onMethod('Throws', () => {
    throw new Error('at once');
  });
  module.edge.onMethod('Rejects', () => Promise.reject(new Error('later')));
  module.edge.start();
  await module.connected();
  assert.deepEqual(await local.invoke('m', 'Throws'), problem('Throws error: at once'));
  assert.deepEqual(await local.invoke('m', 'Rejects'), problem('Rejects error: later'));
});

test('values of every kind survive the way to a method and back', async (t) => {
  const { local, module } = await pair(t);
  module.edge.onMethod('Echo', ({ payload }) => Promise.resolve({ status: 299, payload }));
  module.edge.start();
  await module.connected();
  for (const payload of [
    null,
    '',
    0,
    false,
    [],
    {},
    'a:b:"c"\n😀',
    { deep: [1, { x: null }] },
    'x'.repeat(100_000),
  ]) {
    assert.deepEqual(await local.invoke('m', 'Echo', payload), { kind: 'reply', status: 299, payload });
  }
});

test('a reply over 128 KB becomes 413 and does not cost the connection', async (t) => {
  const { local, module } = await pair(t);
  module.edge.onMethod('Large', () => Promise.resolve({ status: 200, payload: 'x'.repeat(300_000) }));
  module.edge.start();
  await module.connected();
  const outcome = await local.invoke('m', 'Large');
  assert.ok(outcome.kind === 'reply');
  assert.equal(outcome.status, 413);
  assert.equal(local.connects('m'), 1);
});

test('a listener or an input handler that throws harms nobody else', async (t) => {
  const { local, module } = await pair(t);
  module.edge.onDesired(() => {
    throw new Error('broken listener');
  });
  const seen: number[] = [];
  module.edge.onDesired(({ version }) => seen.push(version));
  module.edge.start();
  local.hub.twins.patchDesired('m', { desired: { a: 1 } });
  await module.until(() => seen.length > 0);
  assert.ok(module.lines.some((line) => line.includes('broken listener')));
  assert.equal(module.edge.status.state, 'connected');
});

test('methods under way when stopping are answered first, new ones with 503', async (t) => {
  const { local, module } = await pair(t);
  const finish = Promise.withResolvers<undefined>();
  module.edge.onMethod('Slow', async () => {
    await finish.promise;
    return { status: 200, payload: 'done' };
  });
  module.edge.start();
  await module.connected();
  const slow = local.invoke('m', 'Slow');
  await new Promise((resolve) => setTimeout(resolve, 50));
  const stopped = module.edge.stop(AbortSignal.timeout(5000));
  const late = await local.invoke('m', 'Slow');
  assert.ok(late.kind === 'reply' && late.status === 503);
  finish.resolve(undefined);
  assert.deepEqual(await slow, { kind: 'reply', status: 200, payload: 'done' });
  await stopped;
  assert.equal(module.edge.status.state, 'stopped');
  assert.equal(local.hub.identities.connection('m').connected, false);
});

test('stopping ends within its signal though a method never ends and the peer is silent', async (t) => {
  const { local, module } = await pair(t);
  module.edge.onMethod('Never', () => new Promise(() => undefined));
  module.edge.start();
  await module.connected();
  void local.invoke('m', 'Never');
  await new Promise((resolve) => setTimeout(resolve, 50));
  local.hub.faults.stall = true;
  const begin = performance.now();
  await module.edge.stop(AbortSignal.timeout(300));
  assert.ok(performance.now() - begin < 800);
});

test('registering after the start, or twice, is a programming error', async (t) => {
  const { module } = await pair(t);
  const handler = (): Promise<void> => Promise.resolve();
  module.edge.onInput('in', handler);
  assert.throws(() => module.edge.onInput('in', handler), { code: 'INTERNAL' });
  module.edge.start();
  module.edge.start();
  assert.throws(() => module.edge.onInput('other', handler), { code: 'INTERNAL' });
  assert.throws(() => module.edge.onMethod('M', () => Promise.reject(new Error('never'))), {
    code: 'INTERNAL',
  });
});

test('edgeHub not up for an hour (held clock, real refusals): bounded rate, nothing piles up, then it connects', async (t) => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const local = await startTestEdge();
  const clock = createHeldClock(Date.now());
  const module = createAzureModule(await local.environment('m'), {
    clock,
    backoff: { firstMs: 1000, maxMs: 60_000 },
  });
  t.after(async () => {
    await module.stop();
    await local.stop();
  });
  local.hub.faults.refuse = true;
  const heap = (): number => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  const attempts = (): number => module.statuses.filter(({ state }) => state === 'disconnected').length;
  const state = (): string => module.edge.status.state;
  /** Moves the clock to the end of the wait and no further, so that no time limit of the attempt itself passes. */
  const waitOut = async (): Promise<void> => {
    while (state() === 'disconnected') await clock.advance(1000);
  };
  let early = 0;
  const begin = clock.now();
  module.edge.start();
  while (clock.now() - begin < 60 * 60_000) {
    await module.until(() => state() === 'disconnected');
    if (attempts() === 20) early = heap();
    await waitOut();
    module.lines.length = 0;
  }
  assert.ok(attempts() >= 55 && attempts() <= 130, `${attempts()} attempts in an hour`);
  assert.ok(heap() - early < 2_000_000, 'memory is stable');
  const sockets = process.getActiveResourcesInfo().filter((name) => name.startsWith('TCPSocket')).length;
  assert.ok(sockets <= 1, `${sockets} sockets`);
  local.hub.faults.refuse = false;
  await module.until(() => state() !== 'connecting');
  await waitOut();
  await module.until(() => state() === 'connected');
});

test('after a stop nothing keeps the process: no timer, no socket', async (t) => {
  const local = await startTestEdge();
  // A peer that takes TCP connections and never says anything, for the process that is still connecting when it stops.
  const mute = createServer();
  mute.listen(0, '127.0.0.1');
  await once(mute, 'listening');
  t.after(async () => {
    mute.close();
    await local.stop();
  });
  const environment = await local.environment('m');
  const gateways = [
    environment['IOTEDGE_GATEWAYHOSTNAME'] ?? '',
    `localhost:${(mute.address() as AddressInfo).port}`,
  ];
  for (const IOTEDGE_GATEWAYHOSTNAME of gateways) {
    const script = `
      import { createAzureEdge } from './modules/common/src/edge/azure-edge.ts';
      import { createLog } from './modules/common/src/log.ts';
      const edge = createAzureEdge({ environment: process.env, log: createLog({ write() {} }) });
      edge.onMethod('M', async () => ({ status: 200, payload: null }));
      edge.start();
      setTimeout(async () => {
        console.log(edge.status.state);
        await edge.stop(AbortSignal.timeout(1000));
        console.log(edge.status.state);
      }, 1500);`;
    const child = spawn(process.execPath, ['--conditions=source', '--input-type=module', '--eval', script], {
      env: { ...process.env, ...environment, IOTEDGE_GATEWAYHOSTNAME },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const killer = setTimeout(() => child.kill('SIGKILL'), 6000);
    const [code] = (await once(child, 'exit')) as [number | null];
    clearTimeout(killer);
    const before = IOTEDGE_GATEWAYHOSTNAME === gateways[0] ? 'connected' : 'connecting';
    assert.equal(output, `${before}\nstopped\n`);
    assert.equal(code, 0, 'the process ended by itself');
  }
});
