import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hedged } from '../../../../modules/common/src/redis/hedge.ts';
import type { HeldClock } from '../../../helpers/held-clock.ts';
import { createHeldClock } from '../../../helpers/held-clock.ts';

interface Attempt {
  readonly signal: AbortSignal;
  readonly answered: () => void;
  resolve(value: string): void;
  reject(error: Error): void;
}

function bench(most = 3): {
  clock: HeldClock;
  attempts: Attempt[];
  discarded: string[];
  stop: AbortController;
  outcome: Promise<string>;
} {
  const clock = createHeldClock();
  const attempts: Attempt[] = [];
  const discarded: string[] = [];
  const stop = new AbortController();
  const outcome = hedged<string>(
    (signal, answered) =>
      new Promise((resolve, reject) => attempts.push({ signal, answered, resolve, reject })),
    { signal: stop.signal, clock, afterMs: 1000, most, discard: (value) => void discarded.push(value) },
  );
  return { clock, attempts, discarded, stop, outcome };
}

test('one attempt that answers in time stays the only one', async () => {
  const { clock, attempts, outcome } = bench();
  await clock.advance(999);
  attempts[0]?.resolve('first');
  assert.equal(await outcome, 'first');
  await clock.advance(10_000);
  assert.deepEqual([attempts.length, clock.pending], [1, 0]);
});

test('a silent attempt gets another one beside it, up to a number, and is not given up', async () => {
  const { clock, attempts, outcome } = bench(3);
  await clock.advance(10_000);
  assert.equal(attempts.length, 3);
  assert.ok(attempts.every(({ signal }) => !signal.aborted));
  attempts[0]?.resolve('slow');
  assert.equal(await outcome, 'slow');
  assert.ok(attempts.every(({ signal }) => signal.aborted));
});

test('what a second attempt brings after the first is discarded', async () => {
  const { clock, attempts, discarded, outcome } = bench();
  await clock.advance(1000);
  attempts[1]?.resolve('second');
  attempts[0]?.resolve('first');
  assert.equal(await outcome, 'second');
  await clock.advance(0);
  assert.deepEqual(discarded, ['first']);
});

test('the first failure is the outcome and ends the other attempts', async () => {
  const { clock, attempts, outcome } = bench();
  await clock.advance(1000);
  const [first, second] = attempts;
  second?.reject(new Error('refused'));
  await assert.rejects(outcome, /refused/);
  assert.ok(first?.signal.aborted);
  first.reject(new Error('stopped'));
  await clock.advance(10_000);
  assert.equal(attempts.length, 2);
});

test('no more attempts are made once somebody answered', async () => {
  const { clock, attempts, outcome } = bench();
  attempts[0]?.answered();
  await clock.advance(10_000);
  assert.equal(attempts.length, 1);
  attempts[0]?.resolve('loaded');
  assert.equal(await outcome, 'loaded');
});

test('a stop reaches every attempt', async () => {
  const { clock, attempts, stop, outcome } = bench();
  await clock.advance(1000);
  stop.abort();
  assert.ok(attempts.every(({ signal }) => signal.aborted));
  attempts[0]?.reject(new Error('stopped'));
  await assert.rejects(outcome, /stopped/);
});
