import type { JsonObject } from '@iotedge-redis/common';
import type { PartitionLane } from './partition-lane.ts';

/** Records per second since the last look, at least a second apart. */
export class Rate {
  #at: number;
  #count: number;
  #rate = 0;

  constructor(now: number, count: number) {
    this.#at = now;
    this.#count = count;
  }

  at(now: number, count: number): number {
    const seconds = (now - this.#at) / 1000;
    if (seconds >= 1) {
      this.#rate = Math.round(((count - this.#count) / seconds) * 10) / 10;
      this.#at = now;
      this.#count = count;
    }
    return this.#rate;
  }
}

export function laneStatus(lane: PartitionLane, rate: number): JsonObject {
  return {
    topic: lane.topic,
    partition: lane.partition,
    state: lane.problem ?? (lane.isFlowing ? 'reading' : 'looking up where to go on'),
    next: lane.next ?? null,
    lag: lane.lag ?? null,
    queued: lane.queued,
    recordsPerSecond: rate,
    mismatch: lane.mismatch ?? null,
    ...lane.counters,
  };
}
