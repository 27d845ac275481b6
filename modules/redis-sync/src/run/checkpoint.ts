import { createHash } from 'node:crypto';
import type { JsonObject } from '@iotedge-redis/common';
import type { Format } from '../csv/format.ts';
import type { Batch } from '../csv/csv-reader.ts';
import type { Reject } from '../rows/row.ts';
import type { RowList } from '../rows/row-list.ts';

/** Keys of the suite start with this; the format version is in the record itself. */
const PREFIX = 'iotedge-redis:redis-sync';
const VERSION = 1;

export type RunState = 'running' | 'sweeping' | 'done' | 'failed' | 'cancelled';

export interface SweepOutcome {
  /** Keys that the file held before, and of these the ones that it holds no longer. */
  readonly owned: number;
  readonly absent: number;
  /** False when more would have gone than allowed: nothing was deleted then. */
  readonly isAllowed: boolean;
}

/** Where a run stands, kept in Redis beside the data, so that both are lost or kept together. */
export interface Checkpoint {
  readonly version: typeof VERSION;
  /** Identity of the run: blob with its ETag, everything that changes what is written, and where to. */
  readonly run: string;
  readonly state: RunState;
  readonly etag: string;
  /** Milliseconds since 1970; time-to-live counts from here. */
  readonly startedAt: number;
  readonly finishedAt?: number;
  /** Behind the last row that is in Redis: offset in the decoded file, and line. */
  readonly offset: number;
  readonly line: number;
  readonly format?: Format;
  readonly rows: number;
  readonly written: number;
  readonly skipped: number;
  readonly deleted: number;
  readonly errors: readonly Reject[];
  /** The whole file was read and found good before the first write. */
  readonly isValidated: boolean;
  readonly resumes: number;
  /** Lists of keys written by this run, in mirror mode. */
  readonly lists: number;
  /** What the mirror counted, once it has deleted: the lists by which it counted go after that. */
  readonly swept?: SweepOutcome;
  /** Why it ended other than done, or what is to be said about the end. */
  readonly code: string | null;
  readonly message: string | null;
}

export function newCheckpoint(run: string, etag: string, startedAt: number): Checkpoint {
  return {
    version: VERSION,
    run,
    state: 'running',
    etag,
    startedAt,
    offset: 0,
    line: 1,
    rows: 0,
    written: 0,
    skipped: 0,
    deleted: 0,
    errors: [],
    isValidated: false,
    resumes: 0,
    lists: 0,
    code: null,
    message: null,
  };
}

export const MAX_ERRORS = 10;

/** Names one run over the file, for its lists of keys: another run of the same identity has lists of its own. */
export function generationOf({ run, startedAt }: Checkpoint): string {
  return `${run}-${startedAt.toString(36)}`;
}

/** Where the run stands when the rows of a batch are in Redis and its bad rows are counted. */
export function advanced(
  before: Checkpoint,
  { offset, nextLine }: Pick<Batch, 'offset' | 'nextLine'>,
  rows: Pick<RowList, 'length' | 'deletions'>,
  rejects: readonly Reject[],
  format: Format | undefined,
): Checkpoint {
  return withRejects(
    {
      ...before,
      offset,
      line: nextLine,
      ...(format === undefined ? {} : { format }),
      rows: before.rows + rows.length + rejects.length,
      written: before.written + rows.length - rows.deletions,
      deleted: before.deleted + rows.deletions,
      lists: before.lists + 1,
    },
    rejects,
  );
}

export function withRejects(checkpoint: Checkpoint, rejects: readonly Reject[]): Checkpoint {
  if (rejects.length === 0) return checkpoint;
  const room = MAX_ERRORS - checkpoint.errors.length;
  return {
    ...checkpoint,
    skipped: checkpoint.skipped + rejects.length,
    errors: room > 0 ? [...checkpoint.errors, ...rejects.slice(0, room)] : checkpoint.errors,
  };
}

/** Undefined when there is none, or it is not one that this version can use. */
export function parseCheckpoint(text: string | null): Checkpoint | undefined {
  if (text === null) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isCheckpoint(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isCheckpoint(value: unknown): value is Checkpoint {
  return (
    typeof value === 'object' &&
    value !== null &&
    'version' in value &&
    value.version === VERSION &&
    'run' in value &&
    typeof value.run === 'string' &&
    'offset' in value &&
    typeof value.offset === 'number'
  );
}

export interface SyncKeys {
  readonly checkpoint: string;
  /** Generations of key lists of one file, for mirror mode. */
  readonly owned: string;
  list(generation: string, index: number): string;
}

/** Instances do not share keys; files of one instance do not share their lists. */
export function syncKeys(instance: string, file: string): SyncKeys {
  const own = `${PREFIX}:${instance}`;
  return {
    checkpoint: `${own}:checkpoint`,
    owned: `${own}:${file}:owned`,
    list: (generation, index) => `${own}:${file}:keys:${generation}:${index}`,
  };
}

/** A short name for a set of facts; equal facts give equal names. */
export function identityOf(facts: JsonObject): string {
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 20);
}
