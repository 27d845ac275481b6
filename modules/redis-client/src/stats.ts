import type { Counter, JsonObject, Metrics } from '@iotedge-redis/common';

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
  readonly #bytes: Counter;

  constructor(metrics: Metrics) {
    this.#bytes = metrics.counter('value_bytes_total', 'Bytes of values', ['direction']);
  }

  add({ method, status, latencyMs, readBytes, writtenBytes }: Call): void {
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
