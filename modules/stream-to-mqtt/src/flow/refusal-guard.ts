import type { Clock, Log } from '@iotedge-redis/common';
import type { Refusal } from '../sink/sink.ts';

/** So many dead letters without one delivery between them are no accident: a setting is wrong, here or at the broker. */
const MAX_IN_A_ROW = 20;
const FIRST_RETRY_MS = 60_000;
const LAST_RETRY_MS = 600_000;

/**
 * Tells single bad entries from a wrong setting. After a row of refusals it stops everything, and lets it go on by and by: the
 * next refusal stops it again at once, without another dead letter, until something is delivered or a person says so.
 */
export class RefusalGuard {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #stop: (why: string) => void;
  readonly #goOn: () => void;
  #inARow = 0;
  #isStopped = false;
  #isTentative = false;
  #retryMs = FIRST_RETRY_MS;
  #cancelRetry: (() => void) | undefined;

  constructor(options: {
    readonly clock: Clock;
    readonly log: Log;
    readonly stop: (why: string) => void;
    readonly goOn: () => void;
  }) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.#stop = options.stop;
    this.#goOn = options.goOn;
  }

  delivered(): void {
    this.#inARow = 0;
    if (!this.#isTentative) return;
    this.#isTentative = false;
    this.#retryMs = FIRST_RETRY_MS;
  }

  /** Answers whether the entry may become a dead letter; `bury` makes it one. False means that everything stops. */
  refused(refusal: Refusal, bury: () => void): boolean {
    this.#inARow += 1;
    if (!this.#isTentative) {
      bury();
      if (this.#inARow < MAX_IN_A_ROW) return true;
    }
    this.#stopFor(refusal);
    return false;
  }

  /** The pause is over. A person looked at it: single bad entries may become dead letters again. */
  resumed(isByPerson: boolean): void {
    if (isByPerson) this.#isTentative = false;
    this.cancel();
    this.#isStopped = false;
    this.#inARow = 0;
  }

  cancel(): void {
    this.#cancelRetry?.();
  }

  #stopFor(refusal: Refusal): void {
    const why = `${MAX_IN_A_ROW} entries in a row were refused (${refusal.code}: ${refusal.text}); mend the cause and call Resume`;
    if (!this.#isStopped) this.#log.error('the bridge pauses', { why });
    this.#isStopped = true;
    this.#isTentative = true;
    this.cancel();
    this.#cancelRetry = this.#clock.after(this.#retryMs, this.#goOn);
    this.#retryMs = Math.min(LAST_RETRY_MS, this.#retryMs * 2);
    this.#stop(why);
  }
}
