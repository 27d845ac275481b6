import { deepEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { createLog, createMetrics } from '@iotedge-redis/common';
import { createStandaloneEdge } from '../../../modules/common/src/edge/standalone-edge.ts';
import { redisClient } from '../../../modules/redis-client/src/module.ts';

test('RC-20: what an earlier run reported of its connection is taken back at the start', () => {
  const reports: unknown[] = [];
  redisClient.build({
    name: 'redis-client',
    instance: 'redis-client',
    log: createLog({ write: () => undefined }),
    metrics: createMetrics({ prefix: 'test' }),
    edge: createStandaloneEdge({ deviceId: 'd', moduleId: 'm' }),
    report: (key, value) => void reports.push([key, value]),
    settingsVersion: () => 0,
  });
  deepEqual(reports, [['redis', null]]);
});
