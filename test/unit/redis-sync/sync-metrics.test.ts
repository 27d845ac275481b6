import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMetrics } from '../../../modules/common/src/metrics.ts';
import { newCheckpoint } from '../../../modules/redis-sync/src/run/checkpoint.ts';
import { createSyncMetrics } from '../../../modules/redis-sync/src/sync-metrics.ts';

test('metrics tell the newest progress when they are read, and nothing before there is any', () => {
  const metrics = createMetrics({ prefix: 'redis-sync' });
  const sync = createSyncMetrics(metrics);
  assert.doesNotMatch(metrics.text(), /^redis_sync_(rows|offset_bytes|fetched_bytes)\b/m);
  const checkpoint = newCheckpoint('run', 'etag', 0);
  sync.progress({ ...checkpoint, written: 1, offset: 10 }, 20);
  sync.progress({ ...checkpoint, written: 7, skipped: 2, deleted: 1, offset: 90 }, 99);
  const text = metrics.text();
  for (const line of [
    'redis_sync_rows{outcome="written"} 7',
    'redis_sync_rows{outcome="skipped"} 2',
    'redis_sync_rows{outcome="deleted"} 1',
    'redis_sync_offset_bytes 90',
    'redis_sync_fetched_bytes 99',
  ]) {
    assert.ok(text.split('\n').includes(line), `${line} in:\n${text}`);
  }
});
