/** How edgeAgent restarts modules: the rules of its RestartPolicyManager and HealthRestartPlanner. Pure. */
export type RestartPolicy = 'never' | 'on-failure' | 'on-unhealthy' | 'always';

/** Why a module is not running as it should: it ended, or its health check fails. */
export type Trouble = { readonly kind: 'exit'; readonly exitCode: number } | { readonly kind: 'unhealthy' };

export interface RestartTimes {
  /** Unit of the back-off: the first restart comes after one unit, the next after two, four, … */
  readonly backoffUnitMs: number;
  /** No back-off is longer. */
  readonly longestBackoffMs: number;
  /** So many restarts, and the module has failed. */
  readonly mostRestarts: number;
  /** After this time of running the count starts anew. */
  readonly settledAfterMs: number;
  /** How often edgeAgent compares what is with what should be; a module that merely ended is started at the next time. */
  readonly reconcileMs: number;
}

export const edgeAgentTimes: RestartTimes = {
  backoffUnitMs: 10_000,
  longestBackoffMs: 300_000,
  mostRestarts: 20,
  settledAfterMs: 600_000,
  reconcileMs: 5000,
};

export interface Verdict {
  readonly status: 'stopped' | 'failed' | 'backoff' | 'unhealthy';
  /** Time until the next start, counted from the end of the last run; null when there is none. */
  readonly restartAfterMs: number | null;
  /** Whether that start counts as a restart. */
  readonly counts: boolean;
}

export function judge(
  trouble: Trouble,
  policy: RestartPolicy,
  restartCount: number,
  times: RestartTimes,
): Verdict {
  const status = trouble.kind === 'unhealthy' ? 'unhealthy' : trouble.exitCode === 0 ? 'stopped' : 'failed';
  if (policy === 'never') return { status, restartAfterMs: null, counts: false };
  if (policy !== 'always' && status === 'stopped') {
    // edgeAgent starts a module that ended with code 0 again without waiting and without counting.
    return { status, restartAfterMs: times.reconcileMs, counts: false };
  }
  if (restartCount >= times.mostRestarts) return { status: 'failed', restartAfterMs: null, counts: false };
  const pause = Math.min(times.backoffUnitMs * 2 ** restartCount, times.longestBackoffMs);
  return { status: 'backoff', restartAfterMs: pause, counts: true };
}
