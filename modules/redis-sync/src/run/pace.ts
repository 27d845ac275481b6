import { sleep } from '@iotedge-redis/common';
import type { Clock } from '@iotedge-redis/common';

/** Holds a run to a number of rows per second. */
export class Pace {
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  #from: number;
  #rows = 0;

  constructor(clock: Clock, signal: AbortSignal) {
    this.#clock = clock;
    this.#signal = signal;
    this.#from = clock.now();
  }

  /** Waits until so many more rows were due; 0 means no limit. */
  async after(rows: number, maxRowsPerSecond: number): Promise<void> {
    if (maxRowsPerSecond === 0) return;
    this.#rows += rows;
    const aheadMs = (this.#rows / maxRowsPerSecond) * 1000 - (this.#clock.now() - this.#from);
    if (aheadMs > 0) await sleep(aheadMs, this.#signal, this.#clock);
    // What was lost while waiting is not caught up in one rush.
    if (aheadMs < -1000) {
      this.#from = this.#clock.now();
      this.#rows = 0;
    }
  }
}
