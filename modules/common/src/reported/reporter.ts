import type { Clock } from '../clock.ts';
import { systemClock } from '../clock.ts';
import type { JsonObject, JsonValue } from '../edge/edge.ts';
import { errorText, SuiteError } from '../errors.ts';
import type { Log } from '../log.ts';
import { applyPatch, patchTowards } from '../merge-patch.ts';
import { cleanReported, MAX_REPORTED_BYTES, reportedBytes } from './reported-limits.ts';

/** Keeps the reported properties at what the module wants them to be. */
export interface Reporter {
  /** Sets a top-level property; null removes it. */
  set(key: string, value: JsonValue): void;
  /** The hub is there and holds this. */
  connected(reported: JsonObject): void;
  disconnected(): void;
  /** What the hub holds as far as is known. */
  readonly known: JsonObject | undefined;
  stop(): void;
}

export interface ReporterOptions {
  readonly send: (patch: JsonObject) => Promise<void>;
  readonly log: Log;
  readonly clock?: Clock;
  /** Shortest time between two updates: each costs a message of the hub's daily quota. */
  readonly minIntervalMs?: number;
  /** Changes that come together go together. */
  readonly gatherMs?: number;
  /** After a connect the desired properties follow within this time, and their acknowledgement belongs into the same update. */
  readonly settleMs?: number;
}

export function createReporter(options: ReporterOptions): Reporter {
  const { send, log, clock = systemClock, minIntervalMs = 10_000, gatherMs = 50, settleMs = 750 } = options;
  const wanted = new Map<string, JsonValue>();
  const tooLarge = new Set<string>();
  let known: JsonObject | undefined;
  let isConnected = false;
  let isSending = false;
  let isStopped = false;
  let lastSent = -Infinity;
  let refused: string | undefined;
  let cancelTimer: (() => void) | undefined;

  const plan = (ms: number): void => {
    if (cancelTimer || isSending || isStopped || !isConnected) return;
    // A clock that was set back must not silence the reports until it has caught up.
    const rest = Math.min(lastSent + minIntervalMs - clock.now(), minIntervalMs);
    const wait = Math.max(ms, rest);
    cancelTimer = clock.after(wait, () => {
      cancelTimer = undefined;
      void flush();
    });
  };

  const flush = async (): Promise<void> => {
    if (!known || !isConnected) return;
    const patch = patchTowards(known, Object.fromEntries(wanted));
    const text = JSON.stringify(patch);
    if (text === '{}' || text === refused) return;
    isSending = true;
    lastSent = clock.now();
    try {
      await send(patch);
      refused = undefined;
      known = applyPatch(known, patch);
    } catch (error) {
      if (error instanceof SuiteError && error.code === 'EDGE_REFUSED') refused = text;
      log.warn('reported properties were not taken', { error: errorText(error), keys: Object.keys(patch) });
    } finally {
      isSending = false;
      // What changed meanwhile, or failed while the link still stands, goes out after the interval.
      plan(gatherMs);
    }
  };

  const fits = (key: string, value: JsonValue): boolean => {
    let bytes = reportedBytes(key, value);
    for (const [name, other] of wanted) if (name !== key) bytes += reportedBytes(name, other);
    return bytes <= MAX_REPORTED_BYTES;
  };

  return {
    set(key, value) {
      const clean = cleanReported(value, key);
      if (clean === null || fits(key, clean)) {
        tooLarge.delete(key);
        wanted.set(key, clean);
      } else {
        if (!tooLarge.has(key))
          log.warn('a reported property is too large and left out', {
            key,
            bytes: reportedBytes(key, clean),
          });
        tooLarge.add(key);
        wanted.set(key, 'too large to be reported');
      }
      plan(gatherMs);
    },
    connected(reported) {
      known = reported;
      refused = undefined;
      isConnected = true;
      plan(settleMs);
    },
    disconnected() {
      isConnected = false;
      cancelTimer?.();
      cancelTimer = undefined;
    },
    get known() {
      return known;
    },
    stop() {
      isStopped = true;
      cancelTimer?.();
      cancelTimer = undefined;
    },
  };
}
