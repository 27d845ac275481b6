import type { Clock } from '@iotedge-redis/common';

/** Where one waits for a time, or until something happens. */
export class WaitPoint {
  readonly #clock: Clock;
  #wake: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Without a time it is `wake` alone that ends it. */
  wait(ms?: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = ms === undefined ? undefined : this.#clock.after(ms, () => this.#wake?.());
      this.#wake = () => {
        this.#wake = undefined;
        cancel?.();
        resolve();
      };
    });
  }

  wake(): void {
    this.#wake?.();
  }
}
