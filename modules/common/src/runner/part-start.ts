import type { Clock } from '../clock.ts';
import type { ErrorCode } from '../errors.ts';
import { SuiteError } from '../errors.ts';
import type { Schedule } from '../retry.ts';
import { exponential } from '../retry.ts';

const HOPELESS: ReadonlySet<ErrorCode> = new Set(['CONFIG_INVALID', 'REDIS_AUTH', 'REDIS_DENIED']);

/** When a part that did not start is tried again. */
export interface PartSchedules {
  /** Nothing works: soon. */
  readonly starting: Schedule;
  /** The old component goes on working. */
  readonly replacing: Schedule;
  /** An exclusive part is out of work during each attempt, hence these are rare while the old settings work. */
  readonly exclusive: Schedule;
}

export function partSchedules(random: () => number): PartSchedules {
  return {
    starting: patient(exponential({ firstMs: 250, maxMs: 1000, random })),
    replacing: patient(exponential({ firstMs: 500, maxMs: 5000, random })),
    exclusive: exponential({ firstMs: 30_000, maxMs: 600_000, random: () => (1 + random()) / 2 }),
  };
}

/** Waiting a second does not mend what only a person can mend. */
function patient(schedule: Schedule): Schedule {
  return (failures, error) =>
    schedule(failures, error) * (error instanceof SuiteError && HOPELESS.has(error.code) ? 5 : 1);
}

/** Settles with the work, or rejects as soon as the signal aborts: a component that pays no heed to it holds nobody up. */
export function abortable(work: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stopped = (): void => reject(new SuiteError('STOPPED', 'starting: stopped'));
    if (signal.aborted) stopped();
    else signal.addEventListener('abort', stopped, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stopped));
  });
}

/** Runs with a signal that aborts with the given one, or after the time. */
export async function within(
  ms: number,
  signal: AbortSignal,
  clock: Clock,
  run: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const limit = new AbortController();
  const cancel = clock.after(ms, () => limit.abort());
  try {
    await run(AbortSignal.any([signal, limit.signal]));
  } finally {
    cancel();
  }
}
