import type { Metrics } from '@iotedge-redis/common';
import type { IngestView } from './ingest-view.ts';
import type { Counters } from './lane/lane-counters.ts';
import { noCounts } from './lane/lane-counters.ts';

const HELP: Readonly<Record<keyof Counters, readonly [string, string]>> = {
  applied: ['records_applied_total', 'Records whose effect is in Redis'],
  bytes: ['redis_bytes_total', 'Bytes of the calls that Redis took'],
  suppressed: ['records_unchanged_total', 'Records applied without a notice, since nothing changed'],
  deadLettered: ['dead_letters_total', 'Records that became dead letters'],
  skipped: ['records_skipped_total', 'Records that could not be stored and were left out'],
  replayed: ['dead_letters_replayed_total', 'Dead letters that took effect after all'],
  lost: ['records_lost_total', 'Records that Kafka had removed before they were applied'],
  mismatches: ['offset_mismatches_total', 'Times that a position did not fit to its partition'],
  repositioned: ['positions_elsewhere_total', 'Times that Redis stood elsewhere than expected'],
  retried: ['redis_calls_retried_total', 'Calls that had to be sent again'],
};

/** What outlives the part, which is rebuilt when its settings change. */
export interface Shared {
  readonly totals: Counters;
  /** The method Pause was called, and Resume not yet. */
  isPaused: boolean;
  working?: IngestView;
}

/** Counting costs nothing where it happens: the instruments are brought up to date when they are read. */
export function registerMetrics(metrics: Metrics, shared: Shared): void {
  const seen = noCounts();
  const names = Object.keys(HELP) as (keyof Counters)[];
  const update = (): void => {
    for (const name of names) {
      const [metric, help] = HELP[name];
      metrics.counter(metric, help).inc({}, shared.totals[name] - seen[name]);
      seen[name] = shared.totals[name];
    }
  };
  // Before the counters, so that they are up to date when they are written.
  metrics.gauge('queued_records', 'Records fetched and not applied', [], (gauge) => {
    update();
    gauge.set((shared.working?.lanes ?? []).reduce((sum, lane) => sum + lane.queued, 0));
  });
  update();
  metrics.gauge('kafka_connected', 'Whether the consumer is in its group', [], (gauge) =>
    gauge.set(shared.working?.kafka.state === 'ready' ? 1 : 0),
  );
  metrics.gauge('paused', 'Whether nothing is applied for a reason', [], (gauge) =>
    gauge.set((shared.working?.pauses.size ?? 0) > 0 ? 1 : 0),
  );
  metrics.gauge('redis_memory_percent', 'Share of maxmemory that Redis uses', [], (gauge) => {
    const percent = shared.working?.memoryPercent;
    if (percent !== undefined) gauge.set(percent);
  });
  metrics.gauge(
    'partition_lag',
    'Records between the position and the end',
    ['topic', 'partition'],
    (gauge) => {
      for (const { topic, partition, lag } of shared.working?.lanes ?? [])
        if (lag !== undefined) gauge.set(lag, { topic, partition: String(partition) });
    },
  );
}
