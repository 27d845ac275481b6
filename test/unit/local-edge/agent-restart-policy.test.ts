import assert from 'node:assert/strict';
import { test } from 'node:test';
import { edgeAgentTimes, judge } from '../../../local-edge/src/agent/restart-policy.ts';
import type { RestartPolicy, Trouble } from '../../../local-edge/src/agent/restart-policy.ts';

const clean: Trouble = { kind: 'exit', exitCode: 0 };
const crash: Trouble = { kind: 'exit', exitCode: 3 };
const killed: Trouble = { kind: 'exit', exitCode: 137 };
const unhealthy: Trouble = { kind: 'unhealthy' };

const rules: readonly (readonly [RestartPolicy, string, Trouble, string, number | null, boolean])[] = [
  ['never', 'a clean exit', clean, 'stopped', null, false],
  ['never', 'a crash', crash, 'failed', null, false],
  ['never', 'a failing health check', unhealthy, 'unhealthy', null, false],
  // edgeAgent starts what merely ended at its next round, for every policy above never.
  ['on-failure', 'a clean exit', clean, 'stopped', 5000, false],
  ['on-failure', 'a crash', crash, 'backoff', 10_000, true],
  ['on-failure', 'a kill', killed, 'backoff', 10_000, true],
  ['on-failure', 'a failing health check', unhealthy, 'backoff', 10_000, true],
  ['on-unhealthy', 'a clean exit', clean, 'stopped', 5000, false],
  ['on-unhealthy', 'a crash', crash, 'backoff', 10_000, true],
  ['on-unhealthy', 'a failing health check', unhealthy, 'backoff', 10_000, true],
  ['always', 'a clean exit', clean, 'backoff', 10_000, true],
  ['always', 'a crash', crash, 'backoff', 10_000, true],
];
for (const [policy, title, trouble, status, restartAfterMs, counts] of rules) {
  test(`${policy}: ${title} leads to ${status}`, () => {
    assert.deepEqual(judge(trouble, policy, 0, edgeAgentTimes), { status, restartAfterMs, counts });
  });
}

test('doubles the pause from ten seconds up to five minutes', () => {
  const pauses = [0, 1, 2, 3, 4, 5, 6, 19].map(
    (count) => judge(crash, 'always', count, edgeAgentTimes).restartAfterMs,
  );
  assert.deepEqual(pauses, [10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000]);
});

test('gives up after twenty restarts', () => {
  const verdict = judge(crash, 'always', 20, edgeAgentTimes);
  assert.deepEqual(verdict, { status: 'failed', restartAfterMs: null, counts: false });
});
