import type { Metrics } from '@iotedge-redis/common';
import type { Checkpoint } from './run/checkpoint.ts';

/** What a dashboard wants to know of the imports. */
export interface SyncMetrics {
  progress(checkpoint: Checkpoint, bytesFetched: number): void;
  ended(outcome: 'done' | 'failed'): void;
  state(state: string): void;
}

export function createSyncMetrics(metrics: Metrics): SyncMetrics {
  const rows = metrics.gauge('rows', 'Rows of the current or last import, by what became of them', [
    'outcome',
  ]);
  const offset = metrics.gauge(
    'offset_bytes',
    'How far the current or last import has come in the decoded file',
  );
  const fetched = metrics.gauge('fetched_bytes', 'Bytes read from Blob Storage since the module started');
  const runs = metrics.counter('runs_total', 'Imports that ended', ['outcome']);
  const endedAt = metrics.gauge('last_end_seconds', 'When the last import ended, in seconds since 1970', [
    'outcome',
  ]);
  const running = metrics.gauge('running', '1 while an import is under way or waits');
  return {
    progress(checkpoint, bytesFetched) {
      rows.set(checkpoint.written, { outcome: 'written' });
      rows.set(checkpoint.skipped, { outcome: 'skipped' });
      rows.set(checkpoint.deleted, { outcome: 'deleted' });
      offset.set(checkpoint.offset);
      fetched.set(bytesFetched);
    },
    ended(outcome) {
      runs.inc({ outcome });
      endedAt.set(Date.now() / 1000, { outcome });
    },
    state(state) {
      running.set(['checking', 'running', 'waiting'].includes(state) ? 1 : 0);
    },
  };
}
