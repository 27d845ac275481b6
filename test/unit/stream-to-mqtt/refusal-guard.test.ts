import { deepEqual, equal, match } from 'node:assert/strict';
import { test } from 'node:test';
import { createLog } from '@iotedge-redis/common';
import { RefusalGuard } from '../../../modules/stream-to-mqtt/src/flow/refusal-guard.ts';
import { createHeldClock } from '../../helpers/held-clock.ts';

const refusal = { code: '0x87', text: 'the broker refused it: not authorized' };

function bed() {
  const clock = createHeldClock();
  const lines: string[] = [];
  const events: string[] = [];
  let buried = 0;
  const guard: RefusalGuard = new RefusalGuard({
    clock,
    log: createLog({ level: 'debug', write: (line) => lines.push(line) }),
    stop: (why) => void events.push(why),
    goOn: () => {
      events.push('go on');
      guard.resumed(false);
    },
  });
  return {
    clock,
    lines,
    events,
    guard,
    buried: () => buried,
    refuse: (times = 1) =>
      Array.from({ length: times }, () => guard.refused(refusal, () => (buried += 1))).every(Boolean),
  };
}

test('SM-13: single refusals among deliveries never stop the bridge', () => {
  const { guard, refuse, buried, events } = bed();
  for (let n = 0; n < 100; n += 1) {
    equal(refuse(19), true);
    guard.delivered();
  }
  equal(buried(), 1900);
  deepEqual(events, []);
});

test('SM-13: the twentieth in a row stops it; later tries cost no further dead letter and come ever more rarely', async () => {
  const { clock, refuse, buried, events, lines } = bed();
  equal(refuse(20), false);
  equal(buried(), 20);
  match(events[0] ?? '', /20 entries in a row were refused \(0x87/);
  for (const minutes of [1, 2, 4, 8, 10, 10]) {
    const before = events.length;
    await clock.advance(minutes * 60_000 - 1);
    equal(events.length, before, `not before ${minutes} minutes`);
    await clock.advance(1);
    equal(events.at(-1), 'go on');
    equal(refuse(), false, 'the first refusal stops it again');
  }
  equal(buried(), 20);
  equal(lines.length, 7);
});

test('SM-13: a delivery, or a person, ends the suspicion', async () => {
  const { clock, guard, refuse, buried } = bed();
  refuse(20);
  await clock.advance(60_000);
  guard.delivered();
  equal(refuse(19), true);
  equal(buried(), 39);
  equal(refuse(), false);
  guard.resumed(true);
  equal(refuse(19), true);
  equal(buried(), 59);
});
