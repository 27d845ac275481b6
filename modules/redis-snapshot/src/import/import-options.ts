import type { Clock, JsonObject, Log, RedisConnection, RedisTarget } from '@iotedge-redis/common';
import type { Patience } from '@iotedge-redis/common/blob';
import type { ImportPolicy } from '../settings.ts';
import type { ImportPlan } from './import-plan.ts';
import type { RdbInput } from './rdb-input.ts';

export interface ImportOptions {
  readonly runId: string;
  /** The files of the snapshot: one for each server that was exported. */
  readonly inputs: readonly RdbInput[];
  readonly policy: ImportPolicy;
  /**
   * `always` restores into spare databases and swaps them in one step, or refuses; `never` restores in place; `auto` stages where the
   * policy is `exact` and the server has the room.
   */
  readonly staging: 'auto' | 'always' | 'never';
  /** One that nobody else uses: commands rely on following each other. */
  readonly connection: RedisConnection;
  /** What that connection is to. */
  readonly redis: RedisTarget;
  /** Database of that connection. */
  readonly homeDb: number;
  readonly isCluster: boolean;
  /** Begins the keys of this instance of the module. */
  readonly prefix: string;
  readonly patience: Patience;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly log: Log;
  /** What an earlier start of the same run found in the files. */
  readonly plans: readonly ImportPlan[];
  keepPlans(plans: readonly ImportPlan[]): Promise<void>;
  /** Throws when a file is not what the manifest says of it. */
  checkPlan?(plan: ImportPlan, part: number): void;
  progress(fields: JsonObject): void;
}
