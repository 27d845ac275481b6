import type { Counter, Histogram, JsonObject, Metrics } from '@iotedge-redis/common';

const LATENCY_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

interface MethodStats {
  calls: number;
  readonly statuses: Map<number, number>;
  totalMs: number;
  maxMs: number;
  readBytes: number;
  writtenBytes: number;
}

export interface Call {
  readonly method: string;
  readonly status: number;
  readonly latencyMs: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
}

/** Counts calls since the module started; lives longer than the component, which is rebuilt when settings change. */
export class Stats {
  readonly #since = new Date();
  readonly #methods = new Map<string, MethodStats>();
  readonly #calls: Counter;
  readonly #bytes: Counter;
  readonly #latency: Histogram;

  constructor(metrics: Metrics) {
    this.#calls = metrics.counter('calls_total', 'Direct methods answered', ['method', 'status']);
    this.#bytes = metrics.counter('value_bytes_total', 'Bytes of values', ['direction']);
    this.#latency = metrics.histogram('call_seconds', 'Time from a request to its reply', LATENCY_BUCKETS, [
      'method',
    ]);
  }

  add({ method, status, latencyMs, readBytes, writtenBytes }: Call): void {
    this.#calls.inc({ method, status: String(status) });
    this.#latency.observe(latencyMs / 1000, { method });
    if (readBytes > 0) this.#bytes.inc({ direction: 'read' }, readBytes);
    if (writtenBytes > 0) this.#bytes.inc({ direction: 'written' }, writtenBytes);
    const stats = this.#of(method);
    stats.calls += 1;
    stats.statuses.set(status, (stats.statuses.get(status) ?? 0) + 1);
    stats.totalMs += latencyMs;
    stats.maxMs = Math.max(stats.maxMs, latencyMs);
    stats.readBytes += readBytes;
    stats.writtenBytes += writtenBytes;
  }

  toJson(): JsonObject {
    const methods = [...this.#methods].map(([method, stats]): [string, JsonObject] => [
      method,
      {
        calls: stats.calls,
        statuses: Object.fromEntries(stats.statuses),
        meanMs: round(stats.totalMs / stats.calls),
        maxMs: round(stats.maxMs),
        readBytes: stats.readBytes,
        writtenBytes: stats.writtenBytes,
      },
    ]);
    return { since: this.#since.toISOString(), methods: Object.fromEntries(methods) };
  }

  #of(method: string): MethodStats {
    let stats = this.#methods.get(method);
    if (stats === undefined) {
      stats = { calls: 0, statuses: new Map(), totalMs: 0, maxMs: 0, readBytes: 0, writtenBytes: 0 };
      this.#methods.set(method, stats);
    }
    return stats;
  }
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
