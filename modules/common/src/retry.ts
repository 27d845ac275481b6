import type { Clock } from './clock.ts';
import { sleep, systemClock } from './clock.ts';
import { SuiteError } from './errors.ts';

/** Milliseconds to wait after the given number of failures in a row (1, 2, 3 …), the last of which is `error`. */
export type Schedule = (failures: number, error?: unknown) => number;

export interface Backoff {
  readonly firstMs: number;
  readonly maxMs: number;
  /** Injected in tests; in [0, 1). */
  readonly random?: () => number;
}

/**
 * Doubles from `firstMs` to `maxMs`, with full jitter: anything between nothing and the limit, so that a fleet that lost one
 * server does not come back in step.
 */
export function exponential({ firstMs, maxMs, random = Math.random }: Backoff): Schedule {
  return (failures) => Math.round(random() * Math.min(maxMs, firstMs * 2 ** Math.min(failures - 1, 30)));
}

export interface RetryOptions {
  readonly signal: AbortSignal;
  readonly schedule: Schedule;
  readonly clock?: Clock;
  /** Called after each failure with the wait that follows. */
  readonly onFailure?: (error: unknown, failures: number, waitMs: number) => void;
  /** When it says no, the error is thrown on. Default: every error is tried again. */
  readonly isRetryable?: (error: unknown) => boolean;
}

/** Repeats until it succeeds, the error is final, or the signal aborts (rejects with STOPPED then). */
export async function retry<T>(
  attempt: (signal: AbortSignal) => Promise<T>,
  options: RetryOptions,
): Promise<T> {
  const { signal, schedule, clock = systemClock, onFailure, isRetryable = () => true } = options;
  for (let failures = 1; ; failures += 1) {
    if (isAborted(signal)) throw new SuiteError('STOPPED', 'retrying: stopped');
    try {
      return await attempt(signal);
    } catch (error) {
      if (isAborted(signal)) throw new SuiteError('STOPPED', 'retrying: stopped', { cause: error });
      if (!isRetryable(error)) throw error;
      const waitMs = schedule(failures, error);
      onFailure?.(error, failures, waitMs);
      await sleep(waitMs, signal, clock);
    }
  }
}

/**
 * Settles as the promise does, or rejects with `late()` after the time, or with STOPPED when the signal aborts. The work
 * itself goes on: whoever started it must be able to bear its late end.
 */
export function deadline<T>(
  promise: Promise<T>,
  ms: number,
  signal: AbortSignal | undefined,
  late: () => Error,
  clock: Clock = systemClock,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const finish = (settle: () => void): void => {
      cancel();
      signal?.removeEventListener('abort', stopped);
      settle();
    };
    const stopped = (): void => finish(() => reject(new SuiteError('STOPPED', 'waiting: stopped')));
    const cancel = clock.after(ms, () => finish(() => reject(late())));
    promise.then(
      (value) => finish(() => resolve(value)),
      (error: unknown) =>
        finish(() => reject(error instanceof Error ? error : new SuiteError('INTERNAL', String(error)))),
    );
    if (signal?.aborted) stopped();
    else signal?.addEventListener('abort', stopped, { once: true });
  });
}

/** A call, so that the compiler does not take the answer for settled across an await. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
