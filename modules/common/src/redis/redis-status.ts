import { SuiteError } from '../errors.ts';
import { formatPlace } from './redis-endpoint.ts';
import { classifyRedisError } from './redis-errors.ts';
import type { RedisTarget } from './redis-settings.ts';

export type RedisState = 'idle' | 'connecting' | 'loading' | 'ready' | 'down' | 'closed';

export interface RedisStatus {
  readonly state: RedisState;
  /** Since when it is ready, or since when it is not. */
  readonly since: Date;
  /** Why it is not ready. */
  readonly error?: SuiteError;
}

/**
 * Why a call failed, and what became of its command: `unsent` never left this process, `refused` was answered with an error
 * and had no effect, `unknown` was sent and never answered, so that a write may or may not have happened.
 */
export class RedisCallError extends SuiteError {
  readonly outcome: 'unsent' | 'refused' | 'unknown';

  constructor(error: SuiteError, message: string, outcome: RedisCallError['outcome']) {
    super(error.code, message, { cause: error.cause, retryable: error.retryable });
    this.outcome = outcome;
  }
}

/** The error with what was being done and where, in the suite's form. */
export function placed(error: unknown, doing: string, place: string): SuiteError {
  const where = doing === 'connecting' ? `connecting to ${place}` : `${doing} at ${place}`;
  if (!(error instanceof SuiteError)) return classifyRedisError(error, where);
  const { code, message, cause, retryable } = error;
  return new SuiteError(code, `${where}: ${message}`, { cause, retryable });
}

export function placeText({ mode, place, sentinelMaster }: RedisTarget): string {
  if (mode === 'sentinel') return `sentinel ${sentinelMaster}`;
  return mode === 'cluster' ? `cluster ${formatPlace(place)}` : formatPlace(place);
}
