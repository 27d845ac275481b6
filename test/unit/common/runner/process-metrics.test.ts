import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { createMetrics } from '@iotedge-redis/common';
import { registerProcessMetrics } from '../../../../modules/common/src/runner/process-metrics.ts';

function value(text: string, name: string): number {
  return Number(new RegExp(`^m_process_${name} (.+)$`, 'm').exec(text)?.[1]);
}

test('memory, CPU time and start time are those of the moment of asking', (t) => {
  const metrics = createMetrics({ prefix: 'm' });
  let cpuSeconds = 1.5;
  t.after(registerProcessMetrics(metrics, () => ({ residentBytes: 5e7, cpuSeconds, startTimeSeconds: 1e9 })));
  const first = metrics.text();
  cpuSeconds = 2;
  const second = metrics.text();
  assert.deepEqual(
    [first, second].map((text) => [
      value(text, 'resident_memory_bytes'),
      value(text, 'cpu_seconds_total'),
      value(text, 'start_time_seconds'),
    ]),
    [
      [5e7, 1.5, 1e9],
      [5e7, 2, 1e9],
    ],
  );
});

test('a blocked event loop is seen once', async (t) => {
  const metrics = createMetrics({ prefix: 'm' });
  t.after(registerProcessMetrics(metrics, () => ({ residentBytes: 0, cpuSeconds: 0, startTimeSeconds: 0 })));
  await sleep(250);
  const until = performance.now() + 500;
  while (performance.now() < until);
  await sleep(250);
  const seen = value(metrics.text(), 'event_loop_lag_seconds');
  assert.ok(seen > 0.3, String(seen));
  await sleep(250);
  assert.ok(value(metrics.text(), 'event_loop_lag_seconds') < seen);
});

test('measuring the event loop costs an idle process next to nothing', async (t) => {
  const metrics = createMetrics({ prefix: 'm' });
  t.after(registerProcessMetrics(metrics, () => ({ residentBytes: 0, cpuSeconds: 0, startTimeSeconds: 0 })));
  const { loopCount } = performance.nodeTiming.uvMetricsInfo;
  await sleep(2000);
  const turns = performance.nodeTiming.uvMetricsInfo.loopCount - loopCount;
  assert.ok(turns < 50, `the event loop turned ${turns} times in two seconds`);
});
