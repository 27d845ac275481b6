import { equal, rejects } from 'node:assert/strict';
import { test } from 'node:test';
import { SuiteError } from '@iotedge-redis/common';
import { Operations } from '../../../modules/stream-to-mqtt/src/streams/operations.ts';
import { createHeldClock } from '../../helpers/held-clock.ts';

const never = new AbortController().signal;

function failing(retryable: boolean): { readonly call: () => Promise<never>; readonly calls: () => number } {
  let calls = 0;
  return {
    calls: () => calls,
    call: () => {
      calls += 1;
      return Promise.reject(new SuiteError('REDIS_UNAVAILABLE', 'away', { retryable }));
    },
  };
}

test('REDIS_MAX_RETRIES, REDIS_RETRY_INTERVAL: an operation is repeated so often, so far apart, then left', async () => {
  const clock = createHeldClock();
  const operations = new Operations({ perSecond: 0, concurrency: 1, retries: 3, retryMs: 5000, clock });
  const { call, calls } = failing(true);
  const outcome = rejects(operations.upkeep(never, call), /away/);
  await clock.advance(4999);
  equal(calls(), 1);
  await clock.advance(1);
  equal(calls(), 2);
  await clock.advance(60_000);
  equal(calls(), 4);
  await outcome;
});

test('what no repetition can mend is not repeated', async () => {
  const clock = createHeldClock();
  const operations = new Operations({ perSecond: 0, concurrency: 1, retries: 3, retryMs: 5000, clock });
  const { call, calls } = failing(false);
  await rejects(operations.upkeep(never, call), /away/);
  equal(calls(), 1);
});

test('REDIS_RATE_LIMIT: a second has so many operations, a burst of as many before it', async () => {
  const clock = createHeldClock();
  const operations = new Operations({ perSecond: 10, concurrency: 5, retries: 0, retryMs: 0, clock });
  let done = 0;
  const all = operations.each(
    never,
    Array.from({ length: 40 }, (_, n) => n),
    () => {
      done += 1;
      return Promise.resolve();
    },
  );
  await clock.advance(0);
  equal(done <= 15, true, `${done} at once`);
  await clock.advance(1000);
  equal(done <= 25, true, `${done} after a second`);
  await clock.advance(5000);
  await all;
  equal(done, 40);
});

test('REDIS_POOL_SIZE: so many upkeep operations are under way at a time', async () => {
  const clock = createHeldClock();
  const operations = new Operations({ perSecond: 0, concurrency: 3, retries: 0, retryMs: 0, clock });
  let running = 0;
  let most = 0;
  await operations.each(
    never,
    Array.from({ length: 20 }, (_, n) => n),
    async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
    },
  );
  equal(most, 3);
});
