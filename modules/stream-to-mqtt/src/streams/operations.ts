import type { Clock } from '@iotedge-redis/common';
import { errorText, RedisCallError, sleep, SuiteError, TokenBucket } from '@iotedge-redis/common';

export interface OperationOptions {
  /** Operations per second; 0 is no limit. */
  readonly perSecond: number;
  /** Upkeep operations under way at a time. */
  readonly concurrency: number;
  readonly retries: number;
  readonly retryMs: number;
  readonly clock: Clock;
}

/** Keeps Redis operations within their rate, and repeats those of upkeep. */
export class Operations {
  readonly #options: OperationOptions;
  readonly #bucket: TokenBucket | undefined;

  constructor(options: OperationOptions) {
    this.#options = options;
    this.#bucket =
      options.perSecond > 0 ? new TokenBucket(options.perSecond, () => options.clock.now()) : undefined;
  }

  /** Waits until `count` operations may be sent. */
  async admit(signal: AbortSignal, count = 1): Promise<void> {
    const bucket = this.#bucket;
    if (bucket === undefined) return;
    const waitMs = bucket.waitMs(1);
    bucket.spend(count);
    if (waitMs > 0) await sleep(waitMs, signal, this.#options.clock);
  }

  /** One operation of upkeep, repeated while Redis may get better; then it is up to the next round. */
  async upkeep<T>(signal: AbortSignal, call: () => Promise<T>): Promise<T> {
    const { retries, retryMs, clock } = this.#options;
    for (let attempt = 0; ; attempt += 1) {
      await this.admit(signal);
      try {
        return await call();
      } catch (error) {
        const isWorthIt = error instanceof SuiteError && error.retryable && error.code !== 'STOPPED';
        if (!isWorthIt || attempt >= retries || signal.aborted) throw error;
        await sleep(retryMs, signal, clock);
      }
    }
  }

  /** The same for each of many, a few at a time. A failure of one does not keep the others back; the first is thrown at the end. */
  async each<T>(signal: AbortSignal, items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
    const queue = items.values();
    let failure: unknown;
    let isDown = false;
    const worker = async (): Promise<void> => {
      for (const item of queue) {
        if (signal.aborted || isDown) return;
        try {
          await this.upkeep(signal, () => work(item));
        } catch (error) {
          failure ??= error;
          // Without Redis the rest would fail one time-out after the other.
          isDown ||= error instanceof RedisCallError && error.retryable;
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(this.#options.concurrency, items.length) }, worker));
    if (failure !== undefined)
      throw failure instanceof Error ? failure : new SuiteError('INTERNAL', errorText(failure));
  }
}
