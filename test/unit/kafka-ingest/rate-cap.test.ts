import { equal } from 'node:assert/strict';
import { test } from 'node:test';
import { RateCap } from '../../../modules/kafka-ingest/src/lane/rate-cap.ts';
import { createHeldClock } from '../../helpers/held-clock.ts';

test('records beyond the cap wait, and a new cap ends that at once', async () => {
  const clock = createHeldClock();
  const cap = new RateCap(clock);
  equal(cap.atOnce(256), 256);
  await cap.admit(1_000_000);
  cap.set(10);
  equal(cap.atOnce(256), 10);
  equal(cap.atOnce(4), 4);
  let admitted = 0;
  const admit = (): void => void cap.admit(10).then(() => (admitted += 1));
  admit();
  admit();
  await clock.advance(0);
  equal(admitted, 1);
  await clock.advance(99);
  equal(admitted, 1);
  await clock.advance(1);
  equal(admitted, 2);
  // Ten of debt, so the next has to wait for more than a second.
  admit();
  await clock.advance(900);
  equal(admitted, 2);
  cap.set(0);
  await clock.advance(0);
  equal(admitted, 3);
});
