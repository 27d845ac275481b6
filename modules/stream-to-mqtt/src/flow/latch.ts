import type { Clock } from '@iotedge-redis/common';

/** Lets loops sleep until somebody has news for them. */
export class Latch {
  #wakers = new Set<() => void>();

  wake(): void {
    const wakers = this.#wakers;
    this.#wakers = new Set();
    for (const wake of wakers) wake();
  }

  /** Until woken, the time is over, or the signal aborts; never rejects. */
  wait(ms: number, signal: AbortSignal, clock: Clock): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        this.#wakers.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const cancel = clock.after(ms, done);
      this.#wakers.add(done);
      signal.addEventListener('abort', done, { once: true });
    });
  }
}
