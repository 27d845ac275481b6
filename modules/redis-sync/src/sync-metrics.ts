import type { Metrics } from '@iotedge-redis/common';
import type { Checkpoint } from './run/checkpoint.ts';

/** What a dashboard wants to know of the imports. */
export interface SyncMetrics {
  progress(checkpoint: Checkpoint, bytesFetched: number): void;
  ended(outcome: 'done' | 'failed'): void;
  state(state: string): void;
}

export function createSyncMetrics(metrics: Metrics): SyncMetrics {
  // Kept and read when somebody looks: there is progress a thousand times a second.
  let last: { readonly checkpoint: Checkpoint; readonly bytesFetched: number } | undefined;
  metrics.gauge('rows', 'Rows of the current or last import, by what became of them', ['outcome'], (rows) => {
    if (last === undefined) return;
    const { written, skipped, deleted } = last.checkpoint;
    rows.set(written, { outcome: 'written' });
    rows.set(skipped, { outcome: 'skipped' });
    rows.set(deleted, { outcome: 'deleted' });
  });
  metrics.gauge(
    'offset_bytes',
    'How far the current or last import has come in the decoded file',
    [],
    (offset) => {
      if (last !== undefined) offset.set(last.checkpoint.offset);
    },
  );
  metrics.gauge('fetched_bytes', 'Bytes read from Blob Storage since the module started', [], (fetched) => {
    if (last !== undefined) fetched.set(last.bytesFetched);
  });
  const runs = metrics.counter('runs_total', 'Imports that ended', ['outcome']);
  const endedAt = metrics.gauge('last_end_seconds', 'When the last import ended, in seconds since 1970', [
    'outcome',
  ]);
  const running = metrics.gauge('running', '1 while an import is under way or waits');
  return {
    progress(checkpoint, bytesFetched) {
      last = { checkpoint, bytesFetched };
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
