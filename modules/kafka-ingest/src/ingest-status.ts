import type { ComponentHealth, JsonObject } from '@iotedge-redis/common';
import type { IngestView } from './ingest-view.ts';
import type { Counters } from './lane/lane-counters.ts';
import type { PartitionLane } from './lane/partition-lane.ts';

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
    state: lane.standing.problem ?? (lane.isFlowing ? 'reading' : 'looking up where to go on'),
    next: lane.next ?? null,
    lag: lane.lag ?? null,
    queued: lane.queued,
    recordsPerSecond: rate,
    mismatch: lane.standing.mismatch ?? null,
    ...lane.standing.counters,
  };
}

/** What is told of the whole, below 32 KB whatever the number of partitions. */
export function summaryOf({ kafka, topics, lanes, pauses }: Seen, totals: Counters): JsonObject {
  const [paused = null] = pauses.values();
  const worst = lanes.find(({ standing }) => standing.problem !== undefined)?.standing.problem;
  const mismatch = lanes.find(({ standing }) => standing.mismatch !== undefined)?.standing.mismatch;
  return {
    kafka: kafka.state,
    topics: topics.length,
    partitionsAssigned: lanes.length,
    lag: lanes.reduce((sum, lane) => sum + (lane.lag ?? 0), 0),
    applied: totals.applied,
    deadLettered: totals.deadLettered,
    skipped: totals.skipped,
    lost: totals.lost,
    paused,
    problem: worst ?? null,
    mismatch: mismatch ?? null,
  };
}

/** The first thing that is wrong, the worst first. */
export function healthOf(seen: Seen & Pick<IngestView, 'redis' | 'summary'>): ComponentHealth {
  const { redis, kafka, topics, pauses, lanes } = seen;
  const data = seen.summary();
  if (redis.state !== 'ready')
    return { state: 'down', detail: redis.error?.message ?? 'Redis is not connected', data };
  if (kafka.state === 'down')
    return { state: 'degraded', detail: kafka.reason ?? 'Kafka is not connected', data };
  if (kafka.state === 'connecting') {
    const detail = topics.length === 0 ? 'no topic matches the patterns' : 'joining the consumer group';
    return { state: 'ok', detail, data };
  }
  const [pause] = pauses.values();
  if (pause !== undefined) return { state: 'degraded', detail: `paused: ${pause}`, data };
  const odd = lanes.find(({ standing }) => standing.problem !== undefined);
  if (odd === undefined) return { state: 'ok', data };
  return { state: 'degraded', detail: `${odd.topic}/${odd.partition}: ${odd.standing.problem ?? ''}`, data };
}

type Seen = Pick<IngestView, 'kafka' | 'topics' | 'lanes' | 'pauses'>;
