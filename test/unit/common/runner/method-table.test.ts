import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject, MethodHandler, MethodReply } from '@iotedge-redis/common';
import { createLog, createMetrics, SuiteError } from '@iotedge-redis/common';
import type { MethodTable } from '../../../../modules/common/src/runner/method-table.ts';
import { createMethodTable, MAX_METHOD_BYTES } from '../../../../modules/common/src/runner/method-table.ts';

interface Bench {
  readonly table: MethodTable;
  readonly lines: string[];
  readonly metrics: () => string;
  readonly call: () => Promise<MethodReply>;
}

function bench(handler?: MethodHandler): Bench {
  const lines: string[] = [];
  const metrics = createMetrics({ prefix: 'm' });
  const table = createMethodTable({
    find: () => handler,
    whyNot: () => 'redis: connecting to redis://u:hunter2@h: refused',
    log: createLog({ level: 'debug', write: (line) => void lines.push(line) }),
    metrics,
  });
  const registered = table.handler('GetItem');
  return {
    table,
    lines,
    metrics: () => metrics.text(),
    call: () => registered({ name: 'GetItem', payload: null, requestId: 'r1' }),
  };
}

const failures: [string, MethodHandler, MethodReply][] = [
  [
    'throws',
    () => {
      throw new TypeError('x is not a function');
    },
    { status: 500, payload: { Message: 'GetItem error: x is not a function', Status: 500 } },
  ],
  [
    'rejects',
    () => Promise.reject(new SuiteError('INTERNAL', 'reading: broken')),
    { status: 500, payload: { Message: 'GetItem error: reading: broken', Status: 500 } },
  ],
  [
    'throws a secret',
    () => Promise.reject(new SuiteError('INTERNAL', 'at redis://u:hunter2@h')),
    { status: 500, payload: { Message: 'GetItem error: at redis://***@h', Status: 500 } },
  ],
];
for (const [what, handler, expected] of failures) {
  test(`a handler that ${what} is answered with 500 and logged`, async () => {
    const { call, lines } = bench(handler);
    assert.deepEqual(await call(), expected);
    assert.match(lines.join(''), /<3>.*a direct method failed .*"method":"GetItem","requestId":"r1"/);
    assert.doesNotMatch(lines.join(''), /hunter2/);
  });
}

test('a reply that cannot be made into JSON is answered with 500', async () => {
  const loop: JsonObject = {};
  loop['self'] = loop;
  const reply = await bench(() => Promise.resolve({ status: 200, payload: loop })).call();
  assert.equal(reply.status, 500);
});

test('without a component that offers the method the answer is 503 and why', async () => {
  const { call } = bench();
  assert.deepEqual(await call(), {
    status: 503,
    payload: { Message: 'redis: connecting to redis://***@h: refused', Status: 503 },
  });
});

test('a reply of 128 KB is passed on, a larger one is answered with 413', async () => {
  const text = (bytes: number): MethodHandler => {
    // Two quotes belong to the JSON of a text.
    const reply = { status: 200, payload: 'ä'.repeat((bytes - 2) / 2) };
    return () => Promise.resolve(reply);
  };
  assert.equal((await bench(text(MAX_METHOD_BYTES)).call()).status, 200);
  const large = await bench(text(MAX_METHOD_BYTES + 2)).call();
  assert.deepEqual(large, {
    status: 413,
    payload: {
      Message: 'GetItem: the reply of 131074 bytes is larger than the 131072 that IoT Hub takes',
      Status: 413,
    },
  });
});

test('calls are counted by method and status, and their time is measured', async () => {
  const { call, metrics, lines } = bench(() => Promise.resolve({ status: 404, payload: null }));
  await call();
  await call();
  assert.match(metrics(), /m_method_calls_total\{method="GetItem",status="404"\} 2/);
  assert.match(metrics(), /m_method_seconds_count\{method="GetItem"\} 2/);
  assert.match(
    lines[0] ?? '',
    /^<7>.*direct method \{"method":"GetItem","requestId":"r1","status":404,"ms":/,
  );
});

test('stopping takes no more calls and waits for those under way', async () => {
  const { promise, resolve } = Promise.withResolvers<MethodReply>();
  const { call, table } = bench(() => promise);
  const early = call();
  let isStopped = false;
  const stopped = table.stop(new AbortController().signal).then(() => (isStopped = true));
  assert.deepEqual(await call(), {
    status: 503,
    payload: { Message: 'the module is stopping', Status: 503 },
  });
  assert.equal(isStopped, false);
  resolve({ status: 200, payload: 'done' });
  assert.deepEqual(await early, { status: 200, payload: 'done' });
  await stopped;
});

test('stopping does not wait for calls when it has to hurry', async () => {
  const never = new Promise<never>(() => undefined);
  const { call, table } = bench(() => never);
  void call();
  const hurry = new AbortController();
  const stopped = table.stop(hurry.signal);
  hurry.abort();
  await stopped;
  await table.stop(AbortSignal.abort());
});
