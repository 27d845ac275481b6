import type { FetchedBatch } from '../record.ts';

/** Which batch of a partition has to come next out of Kafka. */
export class FetchSequence {
  #from = 0;
  /** Kafka's record before the position has to be this one. */
  #expected: { readonly offset: string; readonly timestamp: string } | undefined;
  #isRecreated = false;

  /** The last fetched record showed that the topic was made anew since the position was written. */
  get isRecreated(): boolean {
    return this.#isRecreated;
  }

  /**
   * Fetching begins anew for a position. Answers where: at the record before it, when that is there and its timestamp is known, since
   * it tells whether the topic is still the same one.
   */
  begin(next: number, timestamp: string | undefined, low: number): number {
    const canCheck = timestamp !== undefined && next - 1 >= low;
    this.#expected = canCheck ? { offset: String(next - 1), timestamp } : undefined;
    this.#isRecreated = false;
    this.#from = canCheck ? next - 1 : next;
    return this.#from;
  }

  /** What comes now comes from an older fetch. */
  end(): void {
    this.#expected = undefined;
  }

  /** Takes the batch, or answers why it is not the one that comes next. */
  take(batch: FetchedBatch): string | undefined {
    if (batch.from !== this.#from) return `Kafka was read from ${batch.from} instead of ${this.#from}`;
    const expected = this.#expected;
    const [first] = batch.records;
    if (
      expected !== undefined &&
      first?.offset === expected.offset &&
      first.timestamp !== expected.timestamp
    ) {
      this.#isRecreated = true;
      return 'the record before the position is another one';
    }
    this.#expected = undefined;
    this.#from = batch.end;
    return undefined;
  }

  /** Goes over offsets that hold nothing; true when they are known to be the ones that come next. */
  skip(first: number | undefined, end: number): first is number {
    const isNext = first === this.#from;
    this.#from = end;
    return isNext;
  }
}
