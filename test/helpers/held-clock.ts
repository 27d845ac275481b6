import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../modules/common/src/clock.ts';

/** A clock that stands still until a test moves it. */
export interface HeldClock extends Clock {
  /** Timers that wait. */
  readonly pending: number;
  /** Moves on, calling back every timer that comes due, in order, each with time for what it sets off. */
  advance(ms: number): Promise<void>;
}

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

export function createHeldClock(start = 1_700_000_000_000): HeldClock {
  let now = start;
  const timers = new Set<Timer>();
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 3; turn += 1) await setImmediate();
  };
  return {
    now: () => now,
    after(ms, callback) {
      const timer = { at: now + Math.max(ms, 0), callback };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    get pending() {
      return timers.size;
    },
    async advance(ms) {
      const end = now + ms;
      await settle();
      for (;;) {
        const due = [...timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
        if (due === undefined) break;
        timers.delete(due);
        now = Math.max(now, due.at);
        due.callback();
        await settle();
      }
      now = end;
    },
  };
}
