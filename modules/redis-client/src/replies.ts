import { RedisCallError, SuiteError, errorText } from '@iotedge-redis/common';
import type { ErrorCode, JsonObject, JsonValue, MethodReply } from '@iotedge-redis/common';
import { MAX_PAYLOAD_BYTES } from './grammar.ts';

export const MISSING = 'No value available in Redis';

/** `{Message, Status}` with these names exactly; further fields stand only beside them. */
export function answer(status: number, message: string, extras: JsonObject = {}): MethodReply {
  return { status, payload: { Message: message, Status: status, ...extras } };
}

/** Whether the JSON text of a reply is within what a direct method can carry back. */
export function fits(payload: JsonValue): boolean {
  return Buffer.byteLength(JSON.stringify(payload)) <= MAX_PAYLOAD_BYTES;
}

/**
 * The value is written by now, so the answer must get through: where repeating the value (or even the key) would exceed the
 * limit, the text says so instead.
 */
export function written(key: string, value: string, extras: JsonObject = {}): MethodReply {
  const full = answer(200, `Written:True => key = '${key}', value = '${value}'`, extras);
  // No character takes more than six bytes in JSON, so short texts need no measuring.
  if ((key.length + value.length) * 6 < MAX_PAYLOAD_BYTES - 1000 || fits(full.payload)) return full;
  const size = Buffer.byteLength(value);
  const short = answer(
    200,
    `Written:True => key = '${key}' (value of ${size} bytes, too long to repeat here)`,
    extras,
  );
  return fits(short.payload)
    ? short
    : answer(200, `Written:True => (key and value are too long to repeat here)`, extras);
}

export function deleted(key: string): MethodReply {
  const full = answer(200, `Deleted:True => key = '${key}'`);
  return fits(full.payload) ? full : answer(200, 'Deleted:True => (the key is too long to repeat here)');
}

const STATUS: Readonly<Partial<Record<ErrorCode, number>>> = {
  DATA_INVALID: 400,
  REDIS_DENIED: 403,
  NOT_FOUND: 404,
  CONFLICT: 409,
  REDIS_WRONG_TYPE: 409,
  TOO_LARGE: 413,
  REDIS_UNAVAILABLE: 503,
  REDIS_LOADING: 503,
  REDIS_READONLY: 503,
  REDIS_OOM: 503,
  REDIS_DISK_FULL: 503,
  REDIS_NO_REPLICAS: 503,
  REDIS_CLUSTER_DOWN: 503,
  REDIS_BUSY: 503,
  REDIS_TRY_AGAIN: 503,
  REDIS_AUTH: 503,
  STOPPED: 503,
  REDIS_TIMEOUT: 504,
};

/** Codes that mean: there is no Redis that would listen to us. */
const NO_CONNECTION: readonly ErrorCode[] = ['REDIS_UNAVAILABLE', 'REDIS_LOADING', 'REDIS_AUTH', 'STOPPED'];

/** Every method but GetItem says it the way SetItem does. */
function noConnection(method: string): string {
  return method.startsWith('Get')
    ? 'No connection to Redis server available'
    : 'No connection to Redis server';
}

/** Whatever kept the connection from being made, a request that was never sent had no Redis. */
function isOffline(error: unknown): boolean {
  if (error instanceof RedisCallError && error.outcome === 'unsent') return true;
  return error instanceof SuiteError && NO_CONNECTION.includes(error.code);
}

export function statusOf(error: unknown): number {
  if (isOffline(error)) return 503;
  return error instanceof SuiteError ? (STATUS[error.code] ?? 500) : 500;
}

export function failureText(method: string, error: unknown, isWrite: boolean): string {
  if (error instanceof SuiteError && error.code === 'NOT_FOUND') return MISSING;
  const reason = errorText(error);
  const doubt =
    isWrite && error instanceof RedisCallError && error.outcome === 'unknown'
      ? '; the write may or may not have happened'
      : '';
  return `${isOffline(error) ? noConnection(method) : `${method} error`}: ${reason}${doubt}`;
}

export function failure(
  method: string,
  error: unknown,
  isWrite: boolean,
  extras: JsonObject = {},
): MethodReply {
  const full = answer(statusOf(error), failureText(method, error, isWrite), extras);
  return fits(full.payload)
    ? full
    : answer(statusOf(error), `${method} error: (the reason is too long to repeat here)`);
}
