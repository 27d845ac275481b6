import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { test } from 'node:test';
import type { Edge, EdgeState } from '@iotedge-redis/common';
import { createLog, createStandaloneEdge, SuiteError } from '@iotedge-redis/common';
import { createDeferredEdge } from '../../../../modules/common/src/edge/deferred-edge.ts';
import { isStandalone, isUnderIotEdge, openEdge } from '../../../../modules/common/src/edge/open-edge.ts';

const identity = { deviceId: 'd', moduleId: 'm' };
const never = new AbortController().signal;
const message = { data: Buffer.from('x'), properties: {} };

test('what was registered before is handed on when the implementation is there', async () => {
  const inner = createStandaloneEdge(identity);
  const edge = createDeferredEdge('azure', identity, () => Promise.resolve(inner));
  const states: EdgeState[] = [];
  const seen: unknown[] = [];
  edge.onStatus(({ state }) => states.push(state));
  edge.onMethod('A', () => Promise.resolve({ status: 200, payload: 'a' }));
  edge.onInput('in', ({ data }) => Promise.resolve(void seen.push(data.toString())));
  edge.onDesired(({ version }) => seen.push(version));
  edge.onReported((reported) => seen.push(reported));
  assert.deepEqual([edge.kind, edge.status.state], ['azure', 'connecting']);
  await assert.rejects(edge.report({}), /reporting properties: not connected to edgeHub yet/);
  await assert.rejects(edge.send('out', message), /sending to output out: not connected to edgeHub yet/);
  inner.setDesired({});
  edge.start();
  edge.start();
  await setImmediate();
  await inner.deliver('in', message);
  edge.onMethod('B', () => Promise.resolve({ status: 200, payload: 'b' }));
  assert.deepEqual([edge.status.state, states, seen], ['connected', ['connected'], [{}, 1, 'x']]);
  assert.deepEqual(inner.methodNames, ['A', 'B']);
  await edge.report({ a: 1 });
  assert.deepEqual(inner.reported, { a: 1 });
  await edge.stop(never);
  assert.equal(inner.status.state, 'stopped');
});

test('a name is registered once, also before the implementation is there', () => {
  const edge = createDeferredEdge('azure', identity, () => Promise.reject(new SuiteError('INTERNAL', 'x')));
  edge.onMethod('A', () => Promise.reject(new SuiteError('INTERNAL', 'x')));
  edge.onInput('A', () => Promise.resolve());
  assert.throws(() => edge.onMethod('A', () => Promise.reject(new SuiteError('INTERNAL', 'x'))), /method A/);
  assert.throws(() => edge.onInput('A', () => Promise.resolve()), /input A: already registered/);
});

test('an implementation that cannot be loaded is told, and the module goes on', async () => {
  const failing = (): Promise<Edge> => Promise.reject(new SuiteError('INTERNAL', 'no such package'));
  const edge = createDeferredEdge('azure', identity, failing);
  const reasons: (string | undefined)[] = [];
  edge.onStatus(({ reason }) => reasons.push(reason));
  edge.start();
  await setImmediate();
  assert.deepEqual(
    [edge.status.state, reasons],
    ['disconnected', ['loading the device SDK: no such package']],
  );
  await edge.stop(never);
});

test('an implementation that comes after the stop is not started', async () => {
  const inner = createStandaloneEdge(identity);
  const { promise, resolve } = Promise.withResolvers<Edge>();
  const edge = createDeferredEdge('azure', identity, () => promise);
  edge.start();
  await edge.stop(never);
  resolve(inner);
  await setImmediate();
  assert.deepEqual([edge.status.state, inner.status.state], ['stopped', 'connecting']);
});

test('the environment says whether there is an IoT Edge', () => {
  assert.equal(isUnderIotEdge({ IOTEDGE_WORKLOADURI: 'unix:///x' }), true);
  assert.equal(isUnderIotEdge({ EdgeHubConnectionString: 'HostName=h' }), true);
  assert.equal(isUnderIotEdge({ IOTEDGE_WORKLOADURI: '', IOTEDGE_MODULEID: 'm' }), false);
});

test('without IoT Edge the edge is the stand-alone one', () => {
  const log = createLog({ write: () => undefined });
  const edge = openEdge({ environment: {}, log, standalone: { deviceId: 'host', moduleId: 'second' } });
  assert.deepEqual([isStandalone(edge), edge.identity.moduleId], [true, 'second']);
});

test('an IoT Edge environment that is not whole is a mistake that names what is missing', () => {
  const log = createLog({ write: () => undefined });
  const environment = { IOTEDGE_WORKLOADURI: 'unix:///run/w.sock', IOTEDGE_MODULEID: 'm' };
  assert.throws(() => openEdge({ environment, log, standalone: identity }), /IOTEDGE_/);
});
