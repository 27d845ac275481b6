import { sleep } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { SuiteError } from '../errors.ts';
import { exponential, retry } from '../retry.ts';
import { BlobError } from './blob-errors.ts';

export interface Waiting {
  readonly code: string;
  readonly message: string;
}

export interface PatienceOptions {
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** Why the run waits; undefined when it goes on. */
  readonly onWaiting: (waiting: Waiting | undefined) => void;
  /** Longest pause between two attempts. */
  readonly maxPauseMs: number;
  /** Gives up after so long without success, or with a condition that does not end; for a command that somebody waits for. */
  readonly giveUpAfterMs?: number;
}

/** A condition outlasted `giveUpAfterMs`. */
export class StillWaiting extends SuiteError {
  readonly waiting: Waiting;

  constructor(waiting: Waiting, giveUpAfterMs: number) {
    super('STOPPED', `${waiting.message}; given up after ${Math.round(giveUpAfterMs / 1000)} s`);
    this.name = 'StillWaiting';
    this.waiting = waiting;
  }
}

/** The word for a failure in reports: the blob's own reason where there is one, and what was waited for. */
export function codeOf(error: unknown): string {
  if (error instanceof BlobError) return error.reason;
  if (error instanceof StillWaiting) return error.waiting.code;
  return error instanceof SuiteError ? error.code : 'INTERNAL';
}

const PROGRESS_PAUSE_MS = 50;
const FIRST_PAUSE_MS = 200;

/** Repeats what may succeed later by itself, for as long as it takes; everything else is thrown on. */
export class Patience {
  readonly #options: PatienceOptions;
  /** Several attempts may be under way at once, one for the blob and one for Redis. */
  readonly #waiting = new Map<symbol, Waiting>();

  constructor(options: PatienceOptions) {
    this.#options = options;
  }

  async until<T>(attempt: () => Promise<T>): Promise<T> {
    const { signal, clock, maxPauseMs, giveUpAfterMs } = this.#options;
    const id = Symbol('attempt');
    const pause = exponential({ firstMs: FIRST_PAUSE_MS, maxMs: maxPauseMs });
    let since: number | undefined;
    try {
      return await retry(attempt, {
        signal,
        clock,
        schedule: (failures, error) =>
          error instanceof BlobError && error.hasProgress
            ? PROGRESS_PAUSE_MS
            : Math.max(PROGRESS_PAUSE_MS, pause(failures)),
        isRetryable: (error) => {
          if (!(error instanceof SuiteError) || !error.retryable) return false;
          since ??= clock.now();
          return giveUpAfterMs === undefined || clock.now() - since < giveUpAfterMs;
        },
        onFailure: (error) => {
          const hasProgress = error instanceof BlobError && error.hasProgress;
          if (hasProgress) since = undefined;
          if (error instanceof SuiteError && !hasProgress)
            this.#set(id, { code: codeOf(error), message: error.message });
        },
      });
    } finally {
      this.#set(id, undefined);
    }
  }

  /** Waits while a condition holds that somebody else has to end. Rejects with StillWaiting when nobody does in time. */
  async while(find: () => Promise<Waiting | undefined>, pauseMs: number): Promise<void> {
    const { signal, clock, giveUpAfterMs = Infinity } = this.#options;
    const id = Symbol('condition');
    const since = clock.now();
    try {
      for (let found = await find(); found !== undefined; found = await find()) {
        this.#set(id, found);
        if (clock.now() - since >= giveUpAfterMs) throw new StillWaiting(found, giveUpAfterMs);
        await sleep(pauseMs, signal, clock);
      }
    } finally {
      this.#set(id, undefined);
    }
  }

  #set(id: symbol, waiting: Waiting | undefined): void {
    const before = [...this.#waiting.values()][0];
    if (waiting === undefined) this.#waiting.delete(id);
    else this.#waiting.set(id, waiting);
    const after = [...this.#waiting.values()][0];
    if (before?.code !== after?.code || before?.message !== after?.message) this.#options.onWaiting(after);
  }
}
