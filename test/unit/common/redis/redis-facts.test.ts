import { deepEqual, equal, match } from 'node:assert/strict';
import { test } from 'node:test';
import { durabilityWarnings, hasVersion } from '@iotedge-redis/common';
import { parseInfo } from '../../../../modules/common/src/redis/redis-facts.ts';

const INFO =
  '# Server\r\nredis_version:7.2.4\r\n# Persistence\r\nloading:0\r\naof_enabled:1\r\nmaxmemory_policy:noeviction\r\nrole:master\r\n';

test('reads what a module needs from INFO', () => {
  deepEqual(parseInfo(INFO), {
    facts: {
      product: 'redis',
      version: '7.2.4',
      role: 'master',
      evictionPolicy: 'noeviction',
      isAofEnabled: true,
    },
    isLoading: false,
  });
});

test('sees that Redis is loading and how far it is', () => {
  const info = parseInfo('loading:1\r\nasync_loading:0\r\nloading_loaded_perc:41.50\r\n');
  deepEqual([info.isLoading, info.loadingPercent], [true, '41.50']);
  equal(parseInfo('async_loading:1\r\nloading:0\r\n').isLoading, false);
});

test('prefers the version of Valkey, which also reports the Redis version it is compatible with', () => {
  const { facts } = parseInfo('redis_version:7.2.4\r\nvalkey_version:8.1.1\r\n');
  deepEqual([facts.product, facts.version], ['valkey', '8.1.1']);
});

test('warns of an eviction policy and of a missing append-only file, and of nothing that it cannot see', () => {
  const warnings = durabilityWarnings({ evictionPolicy: 'allkeys-lru', isAofEnabled: false });
  equal(warnings.length, 2);
  match(warnings[0] ?? '', /allkeys-lru.*noeviction/);
  match(warnings[1] ?? '', /appendonly yes/);
  deepEqual(durabilityWarnings({}), []);
  deepEqual(durabilityWarnings(parseInfo(INFO).facts), []);
});

test('compares versions by number', () => {
  equal(hasVersion({ version: '7.10.0' }, 7, 2), true);
  equal(hasVersion({ version: '8.0' }, 7, 2), true);
  equal(hasVersion({ version: '7.0.15' }, 7, 2), false);
  equal(hasVersion(undefined, 7, 2), false);
});
