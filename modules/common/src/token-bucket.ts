import type { Clock } from './clock.ts';

/**
 * A rate with a burst of one second. `spend` may overdraw: what is read before its size is known becomes a debt that is waited
 * off before the next read, so the average over time is the rate.
 */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #now: () => number;
  #tokens: number;
  #at: number;

  constructor(perSecond: number, now: Clock['now']) {
    this.#perSecond = perSecond;
    this.#now = now;
    this.#tokens = Math.max(1, perSecond);
    this.#at = now();
  }

  /** Whole tokens at hand; none while in debt. */
  available(): number {
    this.#refill();
    return Math.max(0, Math.floor(this.#tokens + 1e-9));
  }

  spend(count: number): void {
    this.#refill();
    this.#tokens -= count;
  }

  /** Milliseconds until `count` tokens are there, at most the burst. */
  waitMs(count = 1): number {
    this.#refill();
    const missing = Math.min(count, Math.max(1, this.#perSecond)) - this.#tokens;
    return missing <= 0 ? 0 : Math.ceil((missing / this.#perSecond) * 1000);
  }

  #refill(): void {
    const now = this.#now();
    // A clock that was set back gives nothing, and takes nothing.
    const elapsed = Math.max(0, now - this.#at);
    this.#at = now;
    this.#tokens = Math.min(Math.max(1, this.#perSecond), this.#tokens + (elapsed * this.#perSecond) / 1000);
  }
}

/** A bucket per second for each cap that is set; no cap costs nothing. */
export function optionalBucket(perSecond: number, now: Clock['now']): TokenBucket | undefined {
  return perSecond > 0 ? new TokenBucket(perSecond, now) : undefined;
}
