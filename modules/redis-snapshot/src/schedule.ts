import type { Clock } from '@iotedge-redis/common';

const MINUTE_MS = 60_000;
/** Timers take no more; the schedule is looked at again then. */
const LONGEST_MS = 2 ** 31 - 1;

/** The last multiple of the interval since 1970 that is not in the future. */
export function slotAt(now: number, intervalMinutes: number): number {
  const interval = intervalMinutes * MINUTE_MS;
  return Math.floor(now / interval) * interval;
}

export interface ScheduleOptions {
  readonly clock: Clock;
  /** 0 means never. */
  readonly intervalMinutes: () => number;
  /** When the last run began, milliseconds since 1970: a time that passed while the module was away is made up for, once. */
  readonly lastStartedAt: () => number | undefined;
  readonly begin: () => void;
}

/** Calls `begin` at each multiple of the interval. */
export class Schedule {
  readonly #options: ScheduleOptions;
  #cancel: () => void = () => undefined;

  constructor(options: ScheduleOptions) {
    this.#options = options;
  }

  /** Also to be called after a change of the interval. */
  start(): void {
    const { clock, intervalMinutes, lastStartedAt, begin } = this.#options;
    this.stop();
    const interval = intervalMinutes();
    if (interval === 0) return;
    const now = clock.now();
    const slot = slotAt(now, interval);
    const last = lastStartedAt();
    if (last !== undefined && last < slot) begin();
    this.#wait(slot + interval * MINUTE_MS);
  }

  stop(): void {
    this.#cancel();
    this.#cancel = () => undefined;
  }

  #wait(next: number): void {
    const { clock, intervalMinutes, begin } = this.#options;
    const left = next - clock.now();
    this.#cancel = clock.after(Math.min(Math.max(0, left), LONGEST_MS), () => {
      if (clock.now() < next) {
        this.#wait(next);
        return;
      }
      begin();
      this.#wait(slotAt(clock.now(), intervalMinutes()) + intervalMinutes() * MINUTE_MS);
    });
  }
}
