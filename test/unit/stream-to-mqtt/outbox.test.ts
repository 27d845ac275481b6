import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Slot } from '../../../modules/stream-to-mqtt/src/flow/lane.ts';
import { Outbox } from '../../../modules/stream-to-mqtt/src/flow/outbox.ts';

interface Entry {
  readonly id: string;
  readonly bytes: number;
  readonly lane: number;
  readonly isPoison: boolean;
}

const limits = { window: 4, windowBytes: 1_000_000, maxBlames: 3 };

function entry(lane: number, sequence: number, isPoison = false): Entry {
  return { id: `${sequence}-0`, bytes: 10, lane, isPoison };
}

test('SM-3: sends until the window is full, past an entry that is not acknowledged, and across lanes', () => {
  const outbox = new Outbox<Entry>(limits);
  const [a, b] = [outbox.lane('a'), outbox.lane('b')];
  for (let n = 1; n <= 20; n += 1) {
    outbox.add(a, entry(0, n));
    outbox.add(b, entry(1, n));
  }
  const sent: Slot<Entry>[] = [];
  const drain = (): void => {
    for (let step = outbox.next(); step !== undefined && 'send' in step; step = outbox.next())
      sent.push(step.send);
  };
  drain();
  equal(sent.length, 4);
  // The first one never comes back; the others do.
  for (let n = 1; n < 10; n += 1) {
    const slot = sent[n];
    if (slot !== undefined) outbox.settle(slot);
    drain();
  }
  equal(outbox.sent, 4);
  ok(sent.some((slot) => slot.lane === b));
});

test('SM-12: after a loss everything unacknowledged goes again from the oldest', () => {
  const outbox = new Outbox<Entry>(limits);
  const lane = outbox.lane('a');
  for (let n = 1; n <= 6; n += 1) outbox.add(lane, entry(0, n));
  const first: string[] = [];
  for (let step = outbox.next(); step !== undefined && 'send' in step; step = outbox.next()) {
    first.push(step.send.entry.id);
    if (step.send.entry.id === '2-0') outbox.settle(step.send);
  }
  deepEqual(first, ['1-0', '2-0', '3-0', '4-0', '5-0']);
  deepEqual(outbox.lost(), []);
  const again: string[] = [];
  for (let step = outbox.next(); step !== undefined && 'send' in step; step = outbox.next())
    again.push(step.send.entry.id);
  deepEqual(again, ['1-0', '3-0', '4-0', '5-0']);
});

test('an entry larger than the window in bytes goes alone', () => {
  const outbox = new Outbox<Entry>({ ...limits, windowBytes: 25 });
  const lane = outbox.lane('a');
  outbox.add(lane, { ...entry(0, 1), bytes: 100 });
  outbox.add(lane, entry(0, 2));
  const step = outbox.next();
  ok(step !== undefined && 'send' in step);
  equal(outbox.next(), undefined);
  outbox.settle(step.send);
  ok(outbox.next() !== undefined);
});

test('an entry that was claimed late goes before newer ones that wait', () => {
  const outbox = new Outbox<Entry>({ ...limits, window: 1 });
  const lane = outbox.lane('a');
  for (const n of [5, 7, 9]) outbox.add(lane, entry(0, n));
  const first = outbox.next();
  ok(first !== undefined && 'send' in first);
  outbox.add(lane, entry(0, 3));
  outbox.add(lane, entry(0, 8));
  deepEqual(
    [...lane.unsettled()].map((slot) => slot.entry.id),
    ['5-0', '3-0', '7-0', '8-0', '9-0'],
  );
});

test('an outage never makes a healthy window poison, however often it repeats', () => {
  const outbox = new Outbox<Entry>(limits);
  const lane = outbox.lane('a');
  for (let n = 1; n <= 4; n += 1) outbox.add(lane, entry(0, n));
  for (let outage = 0; outage < 50; outage += 1) {
    while (outbox.next() !== undefined);
    deepEqual(outbox.lost(), []);
  }
  equal(outbox.isProbing, true);
  equal(outbox.held, 4);
});

/**
 * A broker that acknowledges in order, or loses the connection: at random, or always when it gets poison. What was sent before
 * poison in one connection may have been acknowledged or not.
 */
function simulate(lanes: readonly (readonly boolean[])[], window: number, decisions: () => number): void {
  const outbox = new Outbox<Entry>({ window, windowBytes: 1_000_000, maxBlames: 3 });
  const delivered: string[][] = lanes.map(() => []);
  const poisoned: string[][] = lanes.map(() => []);
  const states = lanes.map((entries, at) => ({ lane: outbox.lane(String(at)), entries, next: 0 }));
  const flight: Slot<Entry>[] = [];
  const lose = (): void => {
    flight.length = 0;
    for (const slot of outbox.lost()) {
      poisoned[slot.entry.lane]?.push(slot.entry.id);
      outbox.settle(slot);
    }
  };
  const ackFirst = (): void => {
    const slot = flight.shift();
    if (slot === undefined) return;
    outbox.settle(slot);
  };
  let calm = 0;
  for (let steps = 0; steps < 100_000; steps += 1) {
    const choice = decisions();
    // Losses at random come to an end, or nothing would.
    const isCalm = calm > 200;
    calm += 1;
    for (const state of states) {
      if (choice % 3 !== 0 || state.next >= state.entries.length) continue;
      outbox.add(state.lane, entry(states.indexOf(state), state.next + 1, state.entries[state.next]));
      state.next += 1;
    }
    // Losing the connection by chance each time that one entry is probed would look just like poison.
    const isJudged = outbox.isProbing && flight.length === 1;
    if (!isCalm && !isJudged && choice % 11 === 0) {
      lose();
      continue;
    }
    const step = outbox.next();
    if (step === undefined) {
      if (flight.length > 0) ackFirst();
      else if (states.every(({ next, entries }) => next >= entries.length)) break;
      else continue;
    } else if ('control' in step) {
      outbox.controlPassed();
    } else if (step.send.entry.isPoison) {
      for (let n = choice % 3; n > 0; n -= 1) ackFirst();
      lose();
    } else {
      flight.push(step.send);
      delivered[step.send.entry.lane]?.push(step.send.entry.id);
      ok(flight.length <= window, 'the window holds');
      if (choice % 2 === 0) ackFirst();
    }
  }
  lanes.forEach((entries, at) => {
    const all = entries.map((_, n) => `${n + 1}-0`);
    const bad = all.filter((_, n) => entries[n]);
    deepEqual([...(poisoned[at] ?? [])].sort(byNumber), bad, 'exactly the poison entries are dead letters');
    deepEqual(
      [...new Set(delivered[at])],
      all.filter((_, n) => !entries[n]),
      'nothing lost, first occurrences in order',
    );
  });
  equal(outbox.held, 0);
  equal(outbox.heldBytes, 0);
}

function byNumber(a: string, b: string): number {
  return Number(a.slice(0, -2)) - Number(b.slice(0, -2));
}

test('SM-1, SM-12, SM-14: whatever the broker does, nothing is lost, each stream keeps its order, poison alone is taken out', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.array(
          fc.nat(9).map((n) => n === 0),
          { maxLength: 25 },
        ),
        { minLength: 1, maxLength: 4 },
      ),
      fc.integer({ min: 1, max: 8 }),
      fc.array(fc.nat(1000), { minLength: 20, maxLength: 400 }),
      (lanes, window, decisions) => {
        let at = 0;
        simulate(lanes, window, () => decisions[at++ % decisions.length] ?? 0);
      },
    ),
    { numRuns: 300 },
  );
});
