import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Part } from '@iotedge-redis/common';
import { createLog } from '@iotedge-redis/common';
import { PartHost } from '../../../../modules/common/src/runner/part-host.ts';
import type { HeldClock } from '../../../helpers/held-clock.ts';
import { createHeldClock } from '../../../helpers/held-clock.ts';
import type { PartSettings, ScriptedPart } from '../../../helpers/scripted-part.ts';
import { scriptedPart } from '../../../helpers/scripted-part.ts';

interface Bench extends ScriptedPart {
  readonly clock: HeldClock;
  readonly host: PartHost<PartSettings>;
  readonly lines: string[];
  /** Hands settings over and lets what they set off come to rest. */
  readonly apply: (place: string, filter?: string) => Promise<void>;
  readonly changes: () => number;
}

function bench(more: Partial<Part<PartSettings>> = {}): Bench {
  const scripted = scriptedPart(more);
  const clock = createHeldClock();
  const lines: string[] = [];
  let changes = 0;
  const host = new PartHost<PartSettings>({
    part: scripted.part,
    isLive: (key) => key === 'filter',
    log: createLog({ level: 'debug', write: (line) => void lines.push(line) }),
    clock,
    drainMs: 5000,
    // The longest waits that the schedules allow.
    random: () => 1,
    onChange: () => (changes += 1),
  });
  return {
    ...scripted,
    clock,
    host,
    lines,
    async apply(place, filter = '*') {
      host.apply({ settings: { place, filter }, desired: { place } });
      await clock.advance(0);
    },
    changes: () => changes,
  };
}

const now = (): AbortSignal => AbortSignal.abort();
const never = new AbortController().signal;

async function where(host: PartHost<PartSettings>): Promise<unknown> {
  const handler = host.method('Where');
  return (await handler?.({ name: 'Where', payload: null, requestId: '1' }))?.payload;
}

test('a component is created and started, and answers its methods', async () => {
  const { host, apply, events } = bench();
  assert.deepEqual(host.health(), { state: 'down', detail: 'not created yet' });
  assert.equal(host.isStarted, false);
  await apply('a');
  assert.deepEqual(events, ['create a', 'start a']);
  assert.equal(host.isStarted, true);
  assert.deepEqual(host.health(), { state: 'ok' });
  assert.equal(await where(host), 'a');
  assert.equal(host.method('Other'), undefined);
  assert.deepEqual(host.inUse?.desired, { place: 'a' });
});

test('a first start that fails is tried again within a second, for as long as it takes, and told once', async () => {
  const { host, apply, events, starts, clock, lines } = bench();
  starts['a'] = 'fails';
  await apply('a');
  assert.deepEqual(host.health(), { state: 'down', detail: 'connecting to a: refused' });
  await clock.advance(3_600_000);
  const attempts = events.length;
  assert.ok(attempts >= 3600, String(attempts));
  assert.equal(lines.filter((line) => line.startsWith('<4>')).length, 1);
  starts['a'] = 'works';
  await clock.advance(1000);
  assert.equal(host.isStarted, true);
  assert.equal(clock.pending, 0);
});

test('what only a person can mend is tried every 5 seconds', async () => {
  const { apply, events, starts, clock } = bench();
  starts['a'] = 'is denied';
  await apply('a');
  await clock.advance(60_000);
  const before = events.length;
  await clock.advance(60_000);
  assert.equal(events.length - before, 12);
});

test('a component that has not started answers its methods itself', async () => {
  const { host, apply, starts } = bench();
  starts['a'] = 'fails';
  await apply('a');
  assert.equal(await where(host), 'a');
});

test('new settings: the new component starts, takes over, and then the old one stops', async () => {
  const { host, apply, events } = bench();
  await apply('a');
  await apply('b');
  assert.deepEqual(events, ['create a', 'start a', 'create b', 'start b', 'stop a']);
  assert.equal(await where(host), 'b');
  assert.equal(host.inUse?.settings.place, 'b');
});

test('new settings that do not work keep the old component at work, and are tried until they do', async () => {
  const { host, apply, events, starts, clock } = bench();
  await apply('a');
  starts['b'] = 'fails';
  await apply('b');
  assert.equal(await where(host), 'a');
  assert.deepEqual(host.health(), {
    state: 'degraded',
    detail: 'the new settings are not in use: connecting to b: refused',
  });
  assert.deepEqual(host.keyState('place'), { kind: 'failed', detail: 'connecting to b: refused' });
  await clock.advance(60_000);
  assert.ok(events.filter((event) => event === 'start b').length > 10);
  assert.ok(!events.includes('stop a'));
  starts['b'] = 'works';
  await clock.advance(5000);
  assert.equal(await where(host), 'b');
  assert.equal(events.at(-1), 'stop a');
  assert.deepEqual([host.health(), host.keyState('place')], [{ state: 'ok' }, { kind: 'in use' }]);
});

test('a component that hangs in its start holds up neither newer settings nor the way back', async () => {
  const { host, apply, events, starts } = bench();
  await apply('a');
  starts['b'] = 'hangs';
  await apply('b');
  assert.deepEqual(host.keyState('place'), { kind: 'pending' });
  await apply('a');
  assert.equal(await where(host), 'a');
  assert.deepEqual(host.keyState('place'), { kind: 'in use' });
  await apply('c');
  assert.equal(await where(host), 'c');
  assert.deepEqual(events.slice(2), ['create b', 'start b', 'stop b', 'create c', 'start c', 'stop a']);
});

test('newer settings take the place of a first component that never worked', async () => {
  const { host, apply, events, starts, clock } = bench();
  starts['a'] = 'fails';
  await apply('a');
  await apply('b');
  assert.equal(await where(host), 'b');
  assert.deepEqual(events.slice(-3), ['stop a', 'create b', 'start b']);
  assert.equal(clock.pending, 0);
});

test('settings that change nothing in use do not touch the component', async () => {
  const { apply, events } = bench();
  await apply('a');
  await apply('a');
  assert.deepEqual(events, ['create a', 'start a']);
});

test('a live setting is handed over', async () => {
  const { host, apply, events } = bench();
  await apply('a', 'x');
  await apply('a', 'y');
  assert.deepEqual(events, ['create a', 'start a', 'live y']);
  assert.equal(host.inUse?.settings.filter, 'y');
  assert.deepEqual(host.keyState('filter'), { kind: 'in use' });
});

test('a live setting that changes together with another one makes a new component', async () => {
  const { apply, events } = bench();
  await apply('a', 'x');
  await apply('b', 'y');
  assert.deepEqual(events.slice(2), ['create b', 'start b', 'stop a']);
});

test('a live setting that comes while the component cannot start yet goes on with the starting', async () => {
  const { host, apply, events, starts, clock } = bench();
  starts['a'] = 'fails';
  await apply('a', 'x');
  await apply('a', 'y');
  starts['a'] = 'works';
  await clock.advance(1000);
  assert.ok(host.isStarted);
  assert.deepEqual(
    events.filter((event) => event.startsWith('create')),
    ['create a'],
  );
});

test('an old component that does not stop is hurried, then left behind', async () => {
  const { host, apply, stops, clock, lines } = bench();
  await apply('a');
  stops['a'] = 'hangs';
  await apply('b');
  assert.equal(await where(host), 'b');
  await apply('c');
  assert.equal(await where(host), 'b');
  await clock.advance(6000);
  assert.equal(await where(host), 'c');
  assert.match(lines.join(''), /stopping a replaced part failed .*it did not end in time/);
});

test('an old component that fails to stop does not matter to the new one', async () => {
  const { host, apply, stops, lines } = bench();
  await apply('a');
  stops['a'] = 'fails';
  await apply('b');
  assert.equal(await where(host), 'b');
  assert.match(lines.join(''), /stopping a replaced part failed .*stopping a: broken/);
});

test('an exclusive part stops the old component first', async () => {
  const { host, apply, events } = bench({ exclusive: true });
  await apply('a');
  await apply('b');
  assert.deepEqual(events, ['create a', 'start a', 'stop a', 'create b', 'start b']);
  assert.equal(await where(host), 'b');
});

test('an exclusive part whose new settings fail comes back with the last good ones, and tries again rarely', async () => {
  const { host, apply, events, starts, clock } = bench({ exclusive: true });
  await apply('a');
  starts['b'] = 'fails';
  await apply('b');
  assert.deepEqual(events.slice(2), ['stop a', 'create b', 'start b', 'stop b', 'create a', 'start a']);
  assert.equal(await where(host), 'a');
  assert.equal(host.isStarted, true);
  assert.deepEqual(host.keyState('place'), { kind: 'failed', detail: 'connecting to b: refused' });
  assert.equal(host.health().state, 'degraded');
  await clock.advance(3_600_000);
  const attempts = events.filter((event) => event === 'start b').length;
  assert.ok(attempts >= 8 && attempts <= 12, String(attempts));
  starts['b'] = 'works';
  await clock.advance(600_000);
  assert.equal(await where(host), 'b');
});

test('an exclusive part comes back with what worked last, however many bad settings came after it', async () => {
  const { host, apply, starts, clock } = bench({ exclusive: true });
  await apply('a');
  starts['b'] = 'hangs';
  await apply('b');
  starts['c'] = 'fails';
  await apply('c');
  await clock.advance(0);
  assert.equal(await where(host), 'a');
  assert.equal(host.isStarted, true);
  assert.equal(host.inUse?.settings.place, 'a');
});

test('an exclusive part whose operator takes the change back works as before', async () => {
  const { host, apply, starts } = bench({ exclusive: true });
  await apply('a');
  starts['b'] = 'hangs';
  await apply('b');
  await apply('a');
  assert.equal(await where(host), 'a');
  assert.deepEqual([host.isStarted, host.keyState('place')], [true, { kind: 'in use' }]);
});

test('an exclusive part whose new component hangs comes back after half a minute', async () => {
  const { host, apply, starts, clock } = bench({ exclusive: true });
  await apply('a');
  starts['b'] = 'hangs';
  await apply('b');
  await clock.advance(30_000);
  assert.equal(await where(host), 'a');
  assert.deepEqual(host.keyState('place'), { kind: 'failed', detail: 'it did not start in time' });
});

test('an exclusive part whose old and new settings both fail tries them in turn', async () => {
  const { host, apply, events, starts, clock } = bench({ exclusive: true });
  await apply('a');
  Object.assign(starts, { a: 'fails', b: 'fails' });
  await apply('b');
  await clock.advance(60_000);
  const seen = (event: string): number => events.filter((each) => each === event).length;
  assert.ok(seen('start b') >= 8 && seen('start a') >= 30, `${seen('start b')} ${seen('start a')}`);
  starts['b'] = 'works';
  await clock.advance(6000);
  assert.equal(await where(host), 'b');
});

test('a part for which something is missing waits, and says for what', async () => {
  const { host, apply, events, lines } = bench({
    missing: ({ place }) => (place === '' ? 'no place is set' : undefined),
  });
  await apply('');
  assert.match(lines.join(''), /a part waits for settings .*no place is set/);
  assert.deepEqual(host.health(), { state: 'down', detail: 'no place is set' });
  assert.deepEqual(host.keyState('place'), { kind: 'waiting', detail: 'no place is set' });
  assert.deepEqual(events, []);
  await apply('a');
  assert.equal(host.isStarted, true);
  await apply('');
  assert.deepEqual(events, ['create a', 'start a', 'stop a']);
  assert.equal(host.isStarted, false);
  assert.equal(host.method('Where'), undefined);
});

test('a component that cannot be created is tried again like one that cannot start', async () => {
  let attempts = 0;
  const { host, apply, clock } = bench({
    create() {
      attempts += 1;
      throw new TypeError('broken');
    },
  });
  await apply('a');
  await clock.advance(10_000);
  assert.ok(attempts > 5);
  assert.deepEqual(host.health(), { state: 'down', detail: 'broken' });
});

test('a change of health of the component is passed on', async () => {
  const { host, apply, setHealth, changes } = bench();
  await apply('a');
  const before = changes();
  setHealth('a', { state: 'down', detail: 'closed by peer', data: { port: 1 } });
  assert.equal(changes(), before + 1);
  assert.deepEqual(host.health(), { state: 'down', detail: 'closed by peer', data: { port: 1 } });
  assert.deepEqual(host.keyState('place'), { kind: 'failed', detail: 'closed by peer' });
});

test('stopping ends the attempts under way and stops the active component', async () => {
  const { host, apply, events, starts, clock } = bench();
  await apply('a');
  starts['b'] = 'fails';
  await apply('b');
  const stopped = host.stop(never);
  await clock.advance(0);
  await stopped;
  assert.deepEqual(events.slice(-2), ['stop b', 'stop a']);
  assert.equal(clock.pending, 0);
});

test('stopping hurries a component that is still draining after its replacement', async () => {
  const { host, apply, events, stops, clock } = bench();
  await apply('a');
  stops['a'] = 'drains';
  await apply('b');
  await host.stop(now());
  assert.deepEqual(events.slice(-2), ['hurry a', 'stop b']);
  assert.equal(clock.pending, 0);
});

test('a part that was never given settings stops at once', async () => {
  const { host, events } = bench();
  await host.stop(never);
  assert.deepEqual(events, []);
});
