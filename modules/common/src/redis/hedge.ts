import type { Clock } from '../clock.ts';

export interface HedgeOptions<T> {
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** Silence after which another attempt is made beside those under way. */
  readonly afterMs: number;
  /** Attempts under way at the same time. */
  readonly most: number;
  /** Takes what a second attempt brought when another one was first. */
  readonly discard: (value: T) => void;
}

/**
 * The outcome of the first attempt that has one. An attempt that hangs, because what it sent has been swallowed on its way,
 * does not hold up the next one, and an attempt that is only slow is not given up either. `answered` ends the waiting for
 * others: somebody is there.
 */
export function hedged<T>(
  attempt: (signal: AbortSignal, answered: () => void) => Promise<T>,
  { signal, clock, afterMs, most, discard }: HedgeOptions<T>,
): Promise<T> {
  const losers = new AbortController();
  const limit = AbortSignal.any([signal, losers.signal]);
  return new Promise<T>((resolve, reject) => {
    let isDone = false;
    let started = 0;
    let cancel: (() => void) | undefined;
    const answered = (): void => cancel?.();
    const finish = (settle: () => void): void => {
      isDone = true;
      cancel?.();
      settle();
      losers.abort();
    };
    const start = (): void => {
      started += 1;
      cancel = started < most ? clock.after(afterMs, start) : undefined;
      attempt(limit, answered).then(
        (value) => (isDone ? discard(value) : finish(() => resolve(value))),
        (error: unknown) => {
          if (!isDone) finish(() => reject(error instanceof Error ? error : new Error(String(error))));
        },
      );
    };
    start();
  });
}
