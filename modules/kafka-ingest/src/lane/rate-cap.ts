import type { Clock, TokenBucket } from '@iotedge-redis/common';
import { optionalBucket, sleep } from '@iotedge-redis/common';

/** Most records per second over all partitions, or none. */
export class RateCap {
  readonly #clock: Clock;
  #bucket: TokenBucket | undefined;
  #perSecond = 0;
  #waiting = new AbortController();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Records that may be applied in one go: a step of more than a second's worth would be waited off for long. */
  atOnce(most: number): number {
    return this.#perSecond === 0 ? most : Math.min(most, this.#perSecond);
  }

  /** A new cap, 0 for none; who waits for the old one waits no longer. */
  set(perSecond: number): void {
    this.#perSecond = perSecond;
    this.#bucket = optionalBucket(perSecond, () => this.#clock.now());
    this.#waiting.abort();
    this.#waiting = new AbortController();
  }

  /** Waits until so many records may be applied. */
  async admit(records: number): Promise<void> {
    for (;;) {
      const bucket = this.#bucket;
      const waitMs = bucket?.waitMs(1) ?? 0;
      if (waitMs === 0) {
        bucket?.spend(records);
        return;
      }
      await sleep(waitMs, this.#waiting.signal, this.#clock).catch(() => undefined);
    }
  }
}
