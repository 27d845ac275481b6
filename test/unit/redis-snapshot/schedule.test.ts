import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Schedule, slotAt } from '../../../modules/redis-snapshot/src/schedule.ts';

const MINUTE = 60_000;

/** A schedule under a clock that only moves when told to. */
function bench(intervalMinutes: number, now: number, lastStartedAt?: number) {
  let time = now;
  let timer: { at: number; callback: () => void } | undefined;
  const begun: number[] = [];
  const schedule = new Schedule({
    clock: {
      now: () => time,
      after(ms, callback) {
        timer = { at: time + ms, callback };
        return () => (timer = undefined);
      },
    },
    intervalMinutes: () => intervalMinutes,
    lastStartedAt: () => lastStartedAt,
    begin: () => begun.push(time),
  });
  return {
    begun,
    schedule,
    advance(to: number) {
      while (timer !== undefined && timer.at <= to) {
        const { at, callback } = timer;
        time = at;
        timer = undefined;
        callback();
      }
      time = to;
    },
  };
}

test('an export begins at each multiple of the interval, whenever the module was started', () => {
  const { begun, schedule, advance } = bench(60, 90 * MINUTE);
  schedule.start();
  advance(250 * MINUTE);
  assert.deepEqual(begun, [120 * MINUTE, 180 * MINUTE, 240 * MINUTE]);
  schedule.stop();
  advance(1000 * MINUTE);
  assert.equal(begun.length, 3);
  assert.equal(slotAt(119 * MINUTE, 60), 60 * MINUTE);
});

test('a time that passed while the module was away is made up for, once', () => {
  const missed = bench(60, 250 * MINUTE, 61 * MINUTE);
  missed.schedule.start();
  assert.deepEqual(missed.begun, [250 * MINUTE]);
  const kept = bench(60, 250 * MINUTE, 241 * MINUTE);
  kept.schedule.start();
  assert.deepEqual(kept.begun, []);
});

test('0 means never, and an interval longer than a timer takes is waited for in pieces', () => {
  const never = bench(0, 0);
  never.schedule.start();
  never.advance(10_000_000 * MINUTE);
  assert.deepEqual(never.begun, []);
  const yearly = bench(525_600, 1);
  yearly.schedule.start();
  yearly.advance(525_600 * MINUTE + 1);
  assert.deepEqual(yearly.begun, [525_600 * MINUTE]);
});
