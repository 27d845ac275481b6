/** Every code that an error of the suite can carry; decide by code or class, never by message text. */
export const ERROR_CODES = [
  'CONFIG_INVALID',
  'EDGE_UNAVAILABLE',
  'EDGE_REFUSED',
  'REDIS_UNAVAILABLE',
  'REDIS_TIMEOUT',
  'REDIS_LOADING',
  'REDIS_READONLY',
  'REDIS_OOM',
  'REDIS_DISK_FULL',
  'REDIS_NO_REPLICAS',
  'REDIS_CLUSTER_DOWN',
  'REDIS_BUSY',
  'REDIS_TRY_AGAIN',
  'REDIS_AUTH',
  'REDIS_DENIED',
  'REDIS_WRONG_TYPE',
  'REDIS_ERROR',
  'KAFKA_UNAVAILABLE',
  'KAFKA_REFUSED',
  'BLOB_UNAVAILABLE',
  'BLOB_REFUSED',
  'DATA_INVALID',
  'TOO_LARGE',
  'CONFLICT',
  'NOT_FOUND',
  'STOPPED',
  'INTERNAL',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

export interface SuiteErrorOptions {
  readonly cause?: unknown;
  /** True when the same call may succeed later without anybody changing anything. */
  readonly retryable?: boolean;
}

/** The only error class of the suite. `message` starts with the gerund of what was being done: "connecting to redis:6379: …". */
export class SuiteError extends Error {
  readonly code: ErrorCode;
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, options: SuiteErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'SuiteError';
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}

/** One wrong setting: where it came from, its name there, and what is expected. Never the value itself. */
export interface Mistake {
  readonly origin: 'environment' | 'file' | 'twin' | 'command line';
  readonly name: string;
  readonly problem: string;
}

/** All mistakes of a configuration at once, by name. */
export class ConfigError extends SuiteError {
  readonly mistakes: readonly Mistake[];

  constructor(mistakes: readonly Mistake[]) {
    super('CONFIG_INVALID', mistakes.map((m) => `${m.origin} ${m.name}: ${m.problem}`).join('; '));
    this.name = 'ConfigError';
    this.mistakes = mistakes;
  }
}

/** Text of anything that was thrown, for logs and replies. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
