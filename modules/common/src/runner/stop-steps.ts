import type { Clock } from '../clock.ts';
import { SuiteError } from '../errors.ts';

/** Settles with the work, or rejects some time after the signal has aborted: what pays no heed to it is left behind. */
export function stopWithin(
  work: Promise<void>,
  signal: AbortSignal,
  graceMs: number,
  clock: Clock,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let cancel: (() => void) | undefined;
    const hurry = (): void => {
      cancel = clock.after(graceMs, () =>
        reject(new SuiteError('STOPPED', 'stopping: it did not end in time')),
      );
    };
    if (signal.aborted) hurry();
    else signal.addEventListener('abort', hurry, { once: true });
    const done = (settle: () => void): void => {
      cancel?.();
      signal.removeEventListener('abort', hurry);
      settle();
    };
    work.then(
      () => done(resolve),
      (error: unknown) =>
        done(() => reject(error instanceof Error ? error : new SuiteError('INTERNAL', String(error)))),
    );
  });
}

export type StopStep = readonly [name: string, run: () => Promise<void>];

export interface StopOptions {
  readonly signal: AbortSignal;
  /** What one step may take after the signal has aborted. */
  readonly graceMs: number;
  readonly clock: Clock;
  readonly onFailure: (name: string, error: unknown) => void;
}

/** Runs every step in order, also after one failed or hung. True when all succeeded. */
export async function runStopSteps(
  steps: readonly StopStep[],
  { signal, graceMs, clock, onFailure }: StopOptions,
): Promise<boolean> {
  let isClean = true;
  for (const [name, run] of steps) {
    try {
      await stopWithin(run(), signal, graceMs, clock);
    } catch (error) {
      isClean = false;
      onFailure(name, error);
    }
  }
  return isClean;
}
