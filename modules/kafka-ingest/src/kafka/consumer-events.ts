import type { FetchedBatch, TopicPartition } from '../record.ts';

/** What the source tells the module. All are called synchronously, in the order of what happens. */
export interface SourceEvents {
  /** All partitions that are ours from now on. Nothing is fetched of them before `begin`. */
  assigned(partitions: readonly TopicPartition[]): void;
  /** Answers a promise when the batch is taken: true when another one is wanted, false when this one was thrown away. */
  batch(batch: FetchedBatch): Promise<boolean> | undefined;
  /** Offsets that hold nothing for us were passed over. */
  skipped(place: TopicPartition, first: number | undefined, end: number): void;
  /** Positions to tell Kafka of. */
  positions(): readonly (TopicPartition & { readonly next: number })[];
  changed(): void;
}
