import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deadline, exponential, retry, sleep, SuiteError } from '@iotedge-redis/common';
import { createHeldClock } from '../../helpers/held-clock.ts';

const failing = (): Promise<never> =>
  Promise.reject(new SuiteError('REDIS_UNAVAILABLE', 'connecting: refused'));
const isStopped = (error: unknown): boolean => error instanceof SuiteError && error.code === 'STOPPED';

test('the longest wait doubles up to the limit', () => {
  const schedule = exponential({ firstMs: 250, maxMs: 1000, random: () => 1 });
  assert.deepEqual(
    [1, 2, 3, 4, 1000].map((failures) => schedule(failures)),
    [250, 500, 1000, 1000, 1000],
  );
});

test('a wait is anything between nothing and its limit', () => {
  assert.equal(exponential({ firstMs: 100, maxMs: 1000, random: () => 0 })(3), 0);
  assert.equal(exponential({ firstMs: 100, maxMs: 1000, random: () => 0.5 })(2), 100);
});

test('retry repeats until it succeeds and tells of each failure', async () => {
  const clock = createHeldClock();
  const told: unknown[] = [];
  let attempts = 0;
  const result = retry(
    () => {
      attempts += 1;
      return attempts < 3 ? failing() : Promise.resolve('done');
    },
    {
      signal: new AbortController().signal,
      schedule: (failures) => failures * 100,
      clock,
      onFailure: (_, failures, waitMs) => told.push([failures, waitMs]),
    },
  );
  await clock.advance(99);
  assert.equal(attempts, 1);
  await clock.advance(1);
  assert.equal(attempts, 2);
  await clock.advance(200);
  assert.equal(await result, 'done');
  assert.deepEqual(told, [[1, 100], [2, 200]]); // prettier-ignore
});

test('retry stops waiting when the signal aborts and leaves no timer', async () => {
  const clock = createHeldClock();
  const stop = new AbortController();
  const result = retry(failing, { signal: stop.signal, schedule: () => 1000, clock });
  await clock.advance(0);
  stop.abort();
  await assert.rejects(result, isStopped);
  assert.equal(clock.pending, 0);
});

test('retry does not begin when the signal has aborted, and not again when it aborts during an attempt', async () => {
  const stop = new AbortController();
  let attempts = 0;
  const attempt = (): Promise<never> => {
    attempts += 1;
    stop.abort();
    return failing();
  };
  await assert.rejects(retry(attempt, { signal: stop.signal, schedule: () => 0 }), isStopped);
  await assert.rejects(retry(attempt, { signal: stop.signal, schedule: () => 0 }), isStopped);
  assert.equal(attempts, 1);
});

test('retry throws an error on that is not worth another attempt', async () => {
  const options = { signal: new AbortController().signal, schedule: () => 0, isRetryable: () => false };
  await assert.rejects(retry(failing, options), /connecting: refused/);
});

test('deadline passes on what comes in time', async () => {
  const late = (): Error => new SuiteError('REDIS_TIMEOUT', 'reading: too late');
  assert.equal(await deadline(Promise.resolve(5), 1000, undefined, late), 5);
  await assert.rejects(deadline(failing(), 1000, undefined, late), /refused/);
  // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- libraries reject with texts, too
  await assert.rejects(deadline(Promise.reject('text'), 1000, undefined, late), /^SuiteError: text$/);
});

test('deadline rejects with the given error when the time is over', async () => {
  const clock = createHeldClock();
  const never = new Promise<void>(() => undefined);
  const result = deadline(never, 500, undefined, () => new SuiteError('REDIS_TIMEOUT', 'late'), clock);
  const seen = assert.rejects(
    result,
    (error: unknown) => error instanceof SuiteError && error.code === 'REDIS_TIMEOUT',
  );
  await clock.advance(500);
  await seen;
});

test('deadline rejects when the signal aborts, before or during the wait', async () => {
  const never = new Promise<void>(() => undefined);
  const late = (): Error => new SuiteError('REDIS_TIMEOUT', 'late');
  await assert.rejects(deadline(never, 10_000, AbortSignal.abort(), late), isStopped);
  const stop = new AbortController();
  const result = deadline(never, 10_000, stop.signal, late);
  stop.abort();
  await assert.rejects(result, isStopped);
});

test('sleep ends at its time, or at once when stopped', async () => {
  await sleep(1);
  await assert.rejects(sleep(60_000, AbortSignal.abort()), isStopped);
});
