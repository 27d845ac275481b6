import type { FetchedBatch } from '../record.ts';

interface Waiting {
  readonly batch: FetchedBatch;
  /** Tells the fetching side that there is room for more; false when it was thrown away. */
  readonly settle: (isTaken: boolean) => void;
}

/** Batches of one partition that were fetched and not applied yet, with the place that is next. */
export class BatchQueue {
  #waiting: Waiting[] = [];
  #start = 0;

  /** The batch that is being worked on, and the place in its records. */
  get head(): { readonly batch: FetchedBatch; readonly start: number } | undefined {
    const first = this.#waiting[0];
    return first === undefined ? undefined : { batch: first.batch, start: this.#start };
  }

  /** The one that follows the head. */
  get second(): FetchedBatch | undefined {
    return this.#waiting[1]?.batch;
  }

  get records(): number {
    return this.#waiting.reduce((sum, { batch }) => sum + batch.records.length, 0) - this.#start;
  }

  /** Resolves once at most this batch is left. */
  add(batch: FetchedBatch, settle: (isTaken: boolean) => void): void {
    if (this.#waiting.length === 0) settle(true);
    this.#waiting.push({ batch, settle });
  }

  /** Everything below the offset is done with. */
  advance(next: number): void {
    let first = this.#waiting[0];
    while (first !== undefined && first.batch.end <= next) {
      this.#waiting.shift();
      this.#start = 0;
      first = this.#waiting[0];
      first?.settle(true);
    }
    if (first === undefined) return;
    const { records } = first.batch;
    while (Number(records[this.#start]?.offset ?? next) < next) this.#start += 1;
  }

  clear(): void {
    for (const { settle } of this.#waiting.splice(0)) settle(false);
    this.#start = 0;
  }
}
