import type { JsonObject, Log } from '@iotedge-redis/common';
import type { Patience } from '@iotedge-redis/common/blob';

/** What a run is given to do its work with. */
export interface Work {
  readonly runId: string;
  readonly input: JsonObject;
  /** What the run kept before the module was started again; undefined at first. */
  readonly checkpoint: JsonObject | undefined;
  readonly resumes: number;
  /** Aborts when the run is cancelled and when the module stops. */
  readonly signal: AbortSignal;
  /** Repeats what may succeed later; shows why the run waits. */
  readonly patience: Patience;
  readonly log: Log;
  /** Shown in `Operation` at once and in the twin now and then. */
  progress(fields: JsonObject): void;
  /** Resolves when it would be there after a restart. */
  keep(checkpoint: JsonObject): Promise<void>;
}

/** Does one run to its end and resolves with its result; rejects with a SuiteError when it has to end without success. */
export type Worker = (work: Work) => Promise<JsonObject>;
