import type { Metrics } from '@iotedge-redis/common';
import type { BridgeView } from './bridge-view.ts';
import { oldestUnacked } from './bridge-status.ts';
import type { StreamCounters } from '../streams/bridged-stream.ts';
import { noCounts } from '../streams/bridged-stream.ts';

const HELP: Readonly<Record<keyof StreamCounters, readonly [string, string]>> = {
  read: ['entries_read_total', 'Entries read from streams, repetitions included'],
  published: ['entries_published_total', 'Entries that the other side has acknowledged'],
  bytes: ['published_bytes_total', 'Bytes of topics and payloads that were acknowledged'],
  filtered: ['entries_filtered_total', 'Entries acknowledged without being published because of a filter'],
  deadLettered: ['dead_letters_total', 'Entries moved to dead-letter streams'],
  replayed: ['dead_letters_replayed_total', 'Dead letters that were delivered after all'],
  redelivered: ['entries_redelivered_total', 'Entries that may have been published before'],
  trimmed: [
    'entries_trimmed_pending_total',
    'Pending entries that were removed from their stream before they were delivered',
  ],
  dropped: ['entries_dropped_total', 'Undelivered entries removed to keep a backlog in its bounds'],
  groupsRecreated: ['groups_recreated_total', 'Consumer groups that were lost and made anew'],
};

/** What outlives the bridge, which is rebuilt when its settings change. */
export interface Shared {
  readonly totals: StreamCounters;
  losses: number;
  working?: BridgeView;
}

/** Counting costs nothing where it happens: the instruments are brought up to date when they are read. */
export function registerMetrics(metrics: Metrics, shared: Shared, now: () => number): void {
  const seen = noCounts();
  let seenLosses = 0;
  const names = Object.keys(HELP) as (keyof StreamCounters)[];
  const update = (): void => {
    for (const name of names) {
      const [metric, help] = HELP[name];
      metrics.counter(metric, help).inc({}, shared.totals[name] - seen[name]);
      seen[name] = shared.totals[name];
    }
    metrics
      .counter('connections_lost_total', 'Connections to the other side that were lost')
      .inc({}, shared.losses - seenLosses);
    seenLosses = shared.losses;
  };
  metrics.gauge('in_flight', 'Entries sent and not acknowledged', [], (gauge) => {
    update();
    gauge.set(shared.working?.inFlight ?? 0);
  });
  update();
  metrics.gauge('connected', 'Whether the other side is connected', [], (gauge) =>
    gauge.set(shared.working?.isConnected === true ? 1 : 0),
  );
  metrics.gauge('paused', 'Whether the bridge is paused', [], (gauge) =>
    gauge.set((shared.working?.pauses.size ?? 0) > 0 ? 1 : 0),
  );
  const perStream = (
    name: string,
    help: string,
    read: (stream: BridgeView['streams'][number]) => number | null,
  ): void => {
    metrics.gauge(name, help, ['stream', 'db'], (gauge) => {
      for (const stream of shared.working?.streams ?? []) {
        const value = read(stream);
        if (value !== null) gauge.set(value, { stream: stream.shown, db: String(stream.db) });
      }
    });
  };
  perStream(
    'stream_lag',
    'Entries that were not delivered to the group yet',
    ({ figures }) => figures?.lag ?? null,
  );
  perStream(
    'stream_pending',
    'Entries delivered and not acknowledged',
    ({ figures }) => figures?.pending ?? null,
  );
  perStream('stream_oldest_unacked_seconds', 'Age of the oldest entry in hand', (stream) =>
    oldestUnacked(stream, now()),
  );
}
