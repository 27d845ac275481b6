import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Metrics } from './metrics.ts';

/** What the runner knows of the process. */
export interface ProcessFacts {
  readonly residentBytes: number;
  readonly cpuSeconds: number;
  readonly startTimeSeconds: number;
}

/** Returns what ends the measuring. */
export function registerProcessMetrics(metrics: Metrics, facts: () => ProcessFacts): () => void {
  metrics.gauge('process_resident_memory_bytes', 'Resident memory', [], (gauge) =>
    gauge.set(facts().residentBytes),
  );
  metrics.gauge('process_start_time_seconds', 'Start of the process since 1970', [], (gauge) =>
    gauge.set(facts().startTimeSeconds),
  );
  let counted = 0;
  const cpu = metrics.counter('process_cpu_seconds_total', 'User and system CPU time');
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  metrics.gauge(
    'process_event_loop_lag_seconds',
    'Longest delay of the event loop since the last reading',
    [],
    (gauge) => {
      gauge.set(Math.max(0, delay.max / 1e9 - 0.02));
      delay.reset();
      const { cpuSeconds } = facts();
      cpu.inc({}, cpuSeconds - counted);
      counted = cpuSeconds;
    },
  );
  return () => void delay.disable();
}
