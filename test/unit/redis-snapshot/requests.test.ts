import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonValue } from '@iotedge-redis/common';
import {
  parseCopyRequest,
  parseExportRequest,
  parseImportRequest,
  parseRunId,
} from '../../../modules/redis-snapshot/src/requests.ts';
import { newRunId } from '../../../modules/redis-snapshot/src/run.ts';

const runId = newRunId(Date.UTC(2026, 0, 31));

test('no payload, an empty text and an empty object ask for a run with the defaults', () => {
  for (const payload of [null, '', {}]) assert.deepEqual(parseExportRequest(payload), { input: {} });
});

test('a run goes on by its id alone', () => {
  assert.match(runId, /^20260131T000000000Z-[0-9a-f]{6}$/);
  assert.deepEqual(parseCopyRequest({ runId }), { runId });
  assert.ok('problem' in parseExportRequest({ runId, copy: true }));
  assert.ok('problem' in parseCopyRequest({ runId: '../x' }));
});

test('what is wrong in a payload is named, and its value never shown', () => {
  const wrong: readonly [JsonValue, RegExp][] = [
    [{ policy: 'secret' }, /^policy: expected one of failIfNotEmpty/],
    [{ snapshot: 5 }, /^snapshot: expected a text/],
    [{ snapshot: 'a', blob: 'b' }, /exclude each other/],
    [{ secret: 1 }, /unknown name in the payload; expected snapshot, blob, policy/],
    ['secret', /expected no payload, or an object/],
    [[], /expected no payload, or an object/],
  ];
  for (const [payload, expected] of wrong) {
    const request = parseImportRequest(payload);
    assert.ok('problem' in request);
    assert.match(request.problem, expected);
    assert.ok(!request.problem.includes('secret'));
  }
});

test('Operation takes the id as a text too', () => {
  assert.deepEqual(parseRunId(runId), { runId });
  assert.deepEqual(parseRunId(null), { runId: undefined });
  assert.ok('problem' in parseRunId({ id: runId }));
});
