import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PartHealth } from '../../../../modules/common/src/runner/health.ts';
import { healthPayload, overall, readyBody } from '../../../../modules/common/src/runner/health.ts';

const ok: PartHealth = { name: 'source', state: 'ok', isStarted: true };
const degraded: PartHealth = {
  name: 'sink',
  state: 'degraded',
  detail: 'no AOF',
  isStarted: true,
  data: { n: 1 },
};
const down: PartHealth = { name: 'redis', state: 'down', detail: 'refused', isStarted: true };
const starting: PartHealth = { name: 'slow', state: 'down', isStarted: false };

test('a module is as well as its worst part', () => {
  assert.deepEqual(overall([]), { state: 'ok', detail: undefined, isReady: true });
  assert.deepEqual(overall([ok]), { state: 'ok', detail: undefined, isReady: true });
  assert.deepEqual(overall([ok, degraded]), { state: 'degraded', detail: 'sink: no AOF', isReady: true });
  assert.deepEqual(overall([down, degraded]), { state: 'down', detail: 'redis: refused', isReady: false });
  assert.deepEqual(overall([starting]), { state: 'down', detail: 'slow: down', isReady: false });
});

test('the Health method always answers, with everything that is known', () => {
  const facts = {
    name: 'redis-client',
    version: '1.2.3',
    instance: 'second',
    startedAt: 1000,
    now: 61_400,
    settingsVersion: undefined,
    edgeKind: 'azure',
    edge: { state: 'disconnected', reason: 'refused', since: new Date(0) } as const,
    parts: [ok, degraded],
  };
  assert.deepEqual(healthPayload(facts), {
    Message: 'degraded: sink: no AOF',
    Status: 200,
    State: 'degraded',
    Ready: true,
    Module: 'redis-client',
    Instance: 'second',
    Version: '1.2.3',
    UptimeSeconds: 60,
    SettingsVersion: null,
    Edge: { Kind: 'azure', State: 'disconnected', Since: '1970-01-01T00:00:00.000Z', Reason: 'refused' },
    Parts: [
      { Name: 'source', State: 'ok' },
      { Name: 'sink', State: 'degraded', Detail: 'no AOF', Data: { n: 1 } },
    ],
  });
  assert.equal(healthPayload({ ...facts, parts: [ok], settingsVersion: 4 })['Message'], 'ok');
});

test('readiness says which part is at fault', () => {
  assert.deepEqual(readyBody([ok, down]), {
    ready: false,
    state: 'down',
    detail: 'redis: refused',
    parts: [
      { name: 'source', state: 'ok' },
      { name: 'redis', state: 'down', detail: 'refused' },
    ],
  });
  assert.deepEqual(readyBody([ok]), { ready: true, state: 'ok', parts: [{ name: 'source', state: 'ok' }] });
});
