import type { Clock, JsonValue, MethodReply, RedisConnection, RedisTarget } from '@iotedge-redis/common';
import { SuiteError } from '@iotedge-redis/common';
import type { Kind } from './run.ts';
import type { SnapshotSettings } from './settings.ts';
import type { Worker } from './work.ts';

export interface WorkersOptions {
  /** Asked at each request, so that a rotated SAS is used from the next one on. */
  readonly settings: () => SnapshotSettings;
  readonly connection: RedisConnection;
  readonly target: RedisTarget;
  readonly instance: string;
  readonly stateDir: string | undefined;
  readonly clock: Clock;
}

export interface Workers {
  readonly workers: Readonly<Record<Kind, Worker>>;
  /** Answers `ListSnapshots`. */
  list(payload: JsonValue, signal: AbortSignal): Promise<MethodReply>;
}

/** Composes what does the runs. */
export function createWorkers({ instance }: WorkersOptions): Workers {
  const missing: Worker = () => Promise.reject(new SuiteError('INTERNAL', `running ${instance}: not there`));
  return {
    workers: { export: missing, copy: missing, import: missing },
    list: () => Promise.resolve({ status: 200, payload: { snapshots: [] } }),
  };
}
