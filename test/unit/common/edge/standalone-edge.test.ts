import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DesiredDocument, StandaloneEdge } from '@iotedge-redis/common';
import { createStandaloneEdge } from '@iotedge-redis/common';

const never = new AbortController().signal;

function edgeOf(): StandaloneEdge {
  return createStandaloneEdge({ deviceId: 'host', moduleId: 'm' });
}

test('desired properties that were set before the start come with it, the newest only', () => {
  const edge = edgeOf();
  const seen: DesiredDocument[] = [];
  edge.onDesired((document) => seen.push(document));
  edge.setDesired({ a: 1 });
  edge.setDesired({ b: 2, c: null });
  assert.deepEqual(seen, []);
  edge.start();
  edge.setDesired({});
  assert.deepEqual(seen, [
    { version: 2, properties: { b: 2 } },
    { version: 3, properties: {} },
  ]);
});

test('without desired properties nothing is handed over', () => {
  const edge = edgeOf();
  edge.onDesired(() => assert.fail());
  edge.start();
});

test('what was reported can be read', async () => {
  const edge = edgeOf();
  edge.start();
  await edge.report({ a: { b: 1, c: 2 } });
  await edge.report({ a: { b: null } });
  assert.deepEqual(edge.reported, { a: { c: 2 } });
});

test('methods can be listed, and an unknown one is answered with nothing', async () => {
  const edge = edgeOf();
  edge.onMethod('A', () => Promise.resolve({ status: 200, payload: null }));
  edge.start();
  assert.deepEqual(edge.methodNames, ['A']);
  assert.equal(await edge.invoke({ name: 'constructor', payload: null, requestId: '1' }), undefined);
});

test('a method that is called before the start or after the stop is answered with 503', async () => {
  const edge = edgeOf();
  edge.onMethod('A', () => Promise.resolve({ status: 200, payload: null }));
  const call = { name: 'A', payload: null, requestId: '1' };
  const before = await edge.invoke(call);
  edge.start();
  const during = await edge.invoke(call);
  await edge.stop(never);
  const after = await edge.invoke(call);
  assert.deepEqual([before?.status, during?.status, after?.status], [503, 200, 503]);
});

test('a message for an input without a handler, and one for an output, say that nobody is there', async () => {
  const edge = edgeOf();
  edge.start();
  const message = { data: Buffer.from('x'), properties: {} };
  assert.equal(edge.deliver('in', message), undefined);
  await assert.rejects(
    edge.send('out', message),
    /sending to output out: there is no edgeHub in stand-alone mode/,
  );
});
