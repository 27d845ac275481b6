import { callScript, SuiteError } from '@iotedge-redis/common';
import type { RedisConnection } from '@iotedge-redis/common';
import { DEAD_LETTERS } from './call.ts';

export interface ReplayRequest {
  /** Most dead letters to try, the oldest first. */
  readonly limit: number;
  readonly topic: string | undefined;
  /** Leave keys alone that exist by now. */
  readonly onlyIfAbsent: boolean;
}

export interface ReplayResult {
  readonly replayed: number;
  readonly failed: number;
  readonly remaining: number;
  readonly [name: string]: number;
}

export { callScript, SuiteError, DEAD_LETTERS };
export type { RedisConnection };
