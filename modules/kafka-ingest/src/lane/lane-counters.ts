/** What a partition has seen since the module started. */
export interface Counters {
  /** Records whose effect is in Redis. */
  applied: number;
  bytes: number;
  /** Applied, without a notice, since nothing changed. */
  suppressed: number;
  deadLettered: number;
  skipped: number;
  /** Dead letters that took effect after all. */
  replayed: number;
  /** Records that Kafka no longer had when they were to be applied. */
  lost: number;
  /** How often the position did not fit to the partition. */
  mismatches: number;
  /** How often Redis stood elsewhere than expected. */
  repositioned: number;
  /** Calls that had to be sent again. */
  retried: number;
}

export function noCounts(): Counters {
  return {
    applied: 0,
    bytes: 0,
    suppressed: 0,
    deadLettered: 0,
    skipped: 0,
    replayed: 0,
    lost: 0,
    mismatches: 0,
    repositioned: 0,
    retried: 0,
  };
}
