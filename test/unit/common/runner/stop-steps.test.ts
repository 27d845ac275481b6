import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SuiteError } from '@iotedge-redis/common';
import { runStopSteps } from '../../../../modules/common/src/runner/stop-steps.ts';
import { createHeldClock } from '../../../helpers/held-clock.ts';

const never = new Promise<never>(() => undefined);

test('every step is run in order, also after one failed', async () => {
  const order: string[] = [];
  const failures: unknown[] = [];
  const clock = createHeldClock();
  const isClean = await runStopSteps(
    [
      ['a', () => Promise.resolve(void order.push('a'))],
      ['b', () => Promise.reject(new SuiteError('INTERNAL', 'stopping b: broken'))],
      [
        'c',
        () => {
          throw new SuiteError('INTERNAL', 'stopping c: broken');
        },
      ],
      ['d', () => Promise.resolve(void order.push('d'))],
    ],
    {
      signal: new AbortController().signal,
      graceMs: 10,
      clock,
      onFailure: (name) => failures.push(name),
    },
  );
  assert.deepEqual([isClean, order, failures], [false, ['a', 'd'], ['b', 'c']]);
  assert.equal(clock.pending, 0);
});

test('a step that hangs is left behind a while after the signal, so that the next ones are still run', async () => {
  const clock = createHeldClock();
  const hurry = new AbortController();
  const order: string[] = [];
  const stopped = runStopSteps(
    [
      ['a', () => never],
      ['b', () => never],
      ['c', () => Promise.resolve(void order.push('c'))],
    ],
    {
      signal: hurry.signal,
      graceMs: 100,
      clock,
      onFailure: (name, error) => order.push(`${name} ${String(error)}`),
    },
  );
  await clock.advance(60_000);
  assert.deepEqual(order, []);
  hurry.abort();
  await clock.advance(200);
  assert.equal(await stopped, false);
  assert.deepEqual(order, [
    'a SuiteError: stopping: it did not end in time',
    'b SuiteError: stopping: it did not end in time',
    'c',
  ]);
});
