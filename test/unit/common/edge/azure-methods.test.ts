import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMethodAnswers } from '../../../../modules/common/src/edge/azure-methods.ts';
import type { MethodHandler, MethodReply } from '../../../../modules/common/src/edge/edge.ts';
import { createLog } from '../../../../modules/common/src/log.ts';

const silent = createLog({ write: () => undefined });

function answer(handler: MethodHandler, body: string, name = 'M'): Promise<MethodReply> {
  const table = createMethodAnswers(silent);
  table.register('M', handler);
  return table.answer(name, 'r1', Buffer.from(body));
}

const echo: MethodHandler = ({ payload }) => Promise.resolve({ status: 200, payload });
const problem = (status: number, Message: string): MethodReply => ({
  status,
  payload: { Message, Status: status },
});

test('a handler gets the parsed payload, and null when none came', async () => {
  assert.deepEqual(await answer(echo, '"ping:pong"'), { status: 200, payload: 'ping:pong' });
  assert.deepEqual(await answer(echo, 'null'), { status: 200, payload: null });
  assert.deepEqual(await answer(echo, ''), { status: 200, payload: null });
});

test('a payload that is not JSON is answered with 400', async () => {
  assert.deepEqual(await answer(echo, '{'), problem(400, 'The payload is not JSON'));
});

test('a handler that throws at once is answered with 500', async () => {
  const handler: MethodHandler = () => {
    throw new Error('broken');
  };
  assert.deepEqual(await answer(handler, 'null'), problem(500, 'M error: broken'));
});

test('a handler that rejects is answered with 500', async () => {
  assert.deepEqual(
    await answer(() => Promise.reject(new Error('late')), 'null'),
    problem(500, 'M error: late'),
  );
});

test('an unknown name is answered with 501, in whatever case it is written', async () => {
  assert.deepEqual(
    await answer(echo, 'null', 'm'),
    problem(501, 'method m: unknown; did you mean M? known are: M'),
  );
});

test('a reply without a usable status becomes 500, one over 128 KB becomes 413', async () => {
  for (const status of [0, Number.NaN, 1.5]) {
    assert.equal((await answer(() => Promise.resolve({ status, payload: null }), 'null')).status, 500);
  }
  const large = 'x'.repeat(128 * 1024);
  assert.equal((await answer(() => Promise.resolve({ status: 200, payload: large }), 'null')).status, 413);
  const fits = 'x'.repeat(128 * 1024 - 2);
  assert.equal((await answer(() => Promise.resolve({ status: 200, payload: fits }), 'null')).status, 200);
});

test('a name can be registered once', () => {
  const table = createMethodAnswers(silent);
  table.register('M', echo);
  assert.throws(() => table.register('M', echo), /M/);
});

test('requests that come while the module stops are answered with 503', async () => {
  const table = createMethodAnswers(silent);
  table.register('M', echo);
  table.close();
  assert.equal((await table.answer('M', 'r1', Buffer.from('1'))).status, 503);
});
