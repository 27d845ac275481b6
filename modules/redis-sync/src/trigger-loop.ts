import { sleep } from '@iotedge-redis/common';
import type { Clock } from '@iotedge-redis/common';
import type { Trigger } from './run/import-run.ts';

export interface TriggerLoopOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** After so long without a trigger it is time for a check; Infinity for never. */
  readonly checkAfterMs: () => number;
  /** One run to its end; never rejects. */
  readonly run: (trigger: Trigger) => Promise<void>;
}

const RANKS: readonly (Trigger | undefined)[] = [undefined, 'check', 'resume', 'new'];
const MAX_TIMER_MS = 2 ** 31 - 1;

/** One run at a time, for the strongest of the reasons that came up since the last one began. */
export class TriggerLoop {
  readonly #options: TriggerLoopOptions;
  #wanted: Trigger | undefined;
  #wake: () => void = () => undefined;

  constructor(options: TriggerLoopOptions) {
    this.#options = options;
  }

  /** True when a run is due that has not begun. */
  get isDue(): boolean {
    return this.#wanted !== undefined;
  }

  trigger(trigger: Trigger): void {
    if (RANKS.indexOf(trigger) > RANKS.indexOf(this.#wanted)) this.#wanted = trigger;
    this.#wake();
  }

  /** Looks anew at how long to wait. */
  wake(): void {
    this.#wake();
  }

  /** Resolves when the signal has aborted and the last run is over. */
  async work(): Promise<void> {
    const { signal, run } = this.#options;
    while (!signal.aborted) {
      const trigger = this.#wanted;
      this.#wanted = undefined;
      if (trigger === undefined) await this.#pause();
      else await run(trigger);
    }
  }

  async #pause(): Promise<void> {
    const { clock, signal, checkAfterMs } = this.#options;
    const wake = new AbortController();
    this.#wake = () => wake.abort();
    const ms = checkAfterMs();
    try {
      await sleep(Math.min(ms, MAX_TIMER_MS), AbortSignal.any([signal, wake.signal]), clock);
      if (ms !== Infinity) this.trigger('check');
    } catch {
      // Woken, or stopped: the loop looks what for.
    } finally {
      this.#wake = () => undefined;
    }
  }
}
