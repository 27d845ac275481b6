import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Metrics } from '../metrics.ts';

/** What the runner knows of the process. */
export interface ProcessFacts {
  readonly residentBytes: number;
  readonly cpuSeconds: number;
  readonly startTimeSeconds: number;
}

/** Measuring wakes the process so often, also when it has nothing to do: at 20 ms that alone takes 0.4 % of a core. */
const RESOLUTION_MS = 100;

/** Returns what ends the measuring. */
export function registerProcessMetrics(metrics: Metrics, facts: () => ProcessFacts): () => void {
  let counted = 0;
  metrics.gauge('process_resident_memory_bytes', 'Resident memory', [], (gauge) => {
    const { residentBytes, cpuSeconds } = facts();
    gauge.set(residentBytes);
    // Here, since this comes before the counter in the text.
    cpu.inc({}, cpuSeconds - counted);
    counted = cpuSeconds;
  });
  const cpu = metrics.counter('process_cpu_seconds_total', 'User and system CPU time');
  metrics
    .gauge('process_start_time_seconds', 'Start of the process since 1970')
    .set(facts().startTimeSeconds);
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  metrics.gauge(
    'process_event_loop_lag_seconds',
    'Longest delay of the event loop since the last reading, to a tenth of a second',
    [],
    (gauge) => {
      gauge.set(Math.max(0, delay.max / 1e9 - RESOLUTION_MS / 1000));
      delay.reset();
    },
  );
  return () => void delay.disable();
}
