import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '@iotedge-redis/common';
import { createLog, SuiteError } from '@iotedge-redis/common';
import type { Reporter } from '../../../../modules/common/src/reported/reporter.ts';
import { createReporter } from '../../../../modules/common/src/reported/reporter.ts';
import type { HeldClock } from '../../../helpers/held-clock.ts';
import { createHeldClock } from '../../../helpers/held-clock.ts';

interface Bench {
  readonly clock: HeldClock;
  readonly reporter: Reporter;
  readonly sent: JsonObject[];
  readonly lines: string[];
  plan: 'takes' | 'refuses' | 'is away' | 'hangs';
  /** Lets an update that hangs fail, as when its link is lost. */
  lose(): void;
}

function bench(): Bench {
  const clock = createHeldClock();
  const lines: string[] = [];
  const sent: JsonObject[] = [];
  const hanging: ((error: SuiteError) => void)[] = [];
  const made: Omit<Bench, 'reporter'> = {
    clock,
    sent,
    lines,
    plan: 'takes',
    lose() {
      for (const reject of hanging.splice(0))
        reject(new SuiteError('EDGE_UNAVAILABLE', 'reporting: link lost'));
    },
  };
  const reporter = createReporter({
    clock,
    log: createLog({ write: (line) => void lines.push(line) }),
    send(patch) {
      sent.push(patch);
      if (made.plan === 'refuses') return Promise.reject(new SuiteError('EDGE_REFUSED', 'reporting: 400'));
      if (made.plan === 'is away')
        return Promise.reject(new SuiteError('EDGE_UNAVAILABLE', 'reporting: away'));
      if (made.plan === 'hangs') return new Promise((_, reject) => hanging.push(reject));
      return Promise.resolve();
    },
  });
  return Object.assign(made, { reporter });
}

/** A reporter whose first update is through. */
async function settled(reported: JsonObject = {}): Promise<Bench> {
  const made = bench();
  made.reporter.connected(reported);
  made.reporter.set('first', 1);
  await made.clock.advance(20_000);
  made.sent.length = 0;
  return made;
}

test('nothing is sent before the hub is there, then everything together', async () => {
  const { reporter, clock, sent } = bench();
  reporter.set('a', 1);
  reporter.set('b', { c: 2 });
  await clock.advance(60_000);
  assert.deepEqual(sent, []);
  reporter.connected({});
  reporter.set('d', 3);
  await clock.advance(750);
  assert.deepEqual(sent, [{ a: 1, b: { c: 2 }, d: 3 }]);
});

test('only what differs from what the hub holds is sent', async () => {
  const { reporter, clock, sent } = bench();
  reporter.set('a', { x: 1, y: 2 });
  reporter.set('b', 1);
  reporter.connected({ a: { x: 1, y: 1, z: 1 }, b: 1, other: 5 });
  await clock.advance(1000);
  assert.deepEqual(sent, [{ a: { y: 2, z: null } }]);
  assert.deepEqual(reporter.known, { a: { x: 1, y: 2 }, b: 1, other: 5 });
});

test('AM-3: updates are 10 s apart at least, and the newest value wins', async () => {
  const { reporter, clock, sent } = await settled();
  for (let value = 0; value < 100; value += 1) {
    reporter.set('v', value);
    await clock.advance(250);
  }
  assert.deepEqual(sent, [{ v: 0 }, { v: 40 }, { v: 80 }]);
  await clock.advance(10_000);
  assert.deepEqual(sent.at(-1), { v: 99 });
});

test('a value that changes and comes back costs no update', async () => {
  const { reporter, clock, sent } = await settled();
  reporter.set('first', 2);
  reporter.set('first', 1);
  await clock.advance(60_000);
  assert.deepEqual(sent, []);
});

test('null removes a property', async () => {
  const { reporter, clock, sent } = await settled();
  reporter.set('first', null);
  await clock.advance(10_000);
  assert.deepEqual([sent, reporter.known], [[{ first: null }], {}]);
});

test('an update that failed is sent again after the interval, and after a reconnect', async () => {
  const made = await settled();
  const { reporter, clock, sent, lines } = made;
  made.plan = 'is away';
  reporter.set('a', 1);
  await clock.advance(20_000);
  assert.deepEqual(sent, [{ a: 1 }, { a: 1 }]);
  assert.match(lines.join(''), /<4>.*reported properties were not taken .*"keys":\["a"\]/);
  reporter.disconnected();
  await clock.advance(60_000);
  assert.equal(sent.length, 2);
  made.plan = 'takes';
  reporter.connected({ first: 1 });
  await clock.advance(750);
  assert.deepEqual(sent.at(-1), { a: 1 });
  await clock.advance(60_000);
  assert.equal(sent.length, 3);
});

test('an update whose link was lost is sent over the next one', async () => {
  const made = await settled();
  made.plan = 'hangs';
  made.reporter.set('a', 1);
  await made.clock.advance(10_000);
  made.reporter.disconnected();
  made.plan = 'takes';
  made.reporter.connected({ first: 1 });
  made.lose();
  await made.clock.advance(10_000);
  assert.deepEqual([made.sent, made.reporter.known], [[{ a: 1 }, { a: 1 }], { first: 1, a: 1 }]);
});

test('what the hub refuses is not sent again until it changes', async () => {
  const made = await settled();
  const { reporter, clock, sent } = made;
  made.plan = 'refuses';
  reporter.set('a', 1);
  await clock.advance(60_000);
  assert.equal(sent.length, 1);
  made.plan = 'takes';
  reporter.set('b', 2);
  await clock.advance(60_000);
  assert.deepEqual(sent.at(-1), { a: 1, b: 2 });
});

test('RC-15: a property that would make the section too large is left out, and that is told once', async () => {
  const { reporter, clock, sent, lines } = await settled();
  const large = Array.from({ length: 20 }, () => 'x'.repeat(1000));
  reporter.set('a', large);
  reporter.set('b', large);
  reporter.set('b', [...large, 'y']);
  await clock.advance(10_000);
  assert.deepEqual(sent, [{ a: large, b: 'too large to be reported' }]);
  assert.ok(Buffer.byteLength(JSON.stringify(reporter.known)) <= 32 * 1024);
  assert.equal(lines.filter((line) => line.includes('too large and left out')).length, 1);
  reporter.set('a', null);
  reporter.set('b', large);
  await clock.advance(10_000);
  assert.deepEqual(sent.at(-1), { a: null, b: large });
});

test('a secret is masked on its way', async () => {
  const { reporter, clock, sent } = await settled();
  reporter.set('error', 'connecting to redis://u:hunter2@h: refused');
  await clock.advance(10_000);
  assert.deepEqual(sent, [{ error: 'connecting to redis://***@h: refused' }]);
});

test('a clock that is set back does not silence the reports', async () => {
  const { reporter, clock, sent } = await settled();
  const now = clock.now();
  Object.assign(clock, { now: () => now - 86_400_000 });
  reporter.set('a', 1);
  await clock.advance(10_000);
  assert.deepEqual(sent, [{ a: 1 }]);
});

test('after the stop nothing is sent', async () => {
  const { reporter, clock, sent } = await settled();
  reporter.set('a', 1);
  reporter.stop();
  reporter.set('b', 1);
  await clock.advance(60_000);
  assert.deepEqual([sent, clock.pending], [[], 0]);
});
