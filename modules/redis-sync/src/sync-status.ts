import type { JsonObject } from '@iotedge-redis/common';
import type { BlobFacts, SasFacts, Waiting } from '@iotedge-redis/common/blob';
import type { Checkpoint } from './run/checkpoint.ts';

export type SyncState = 'idle' | 'checking' | 'running' | 'waiting' | 'done' | 'failed' | 'cancelled';

/** Everything there is to say about the import, for the twin, the methods and the command. */
export interface SyncSnapshot {
  readonly state: SyncState;
  readonly blob: string;
  readonly redis: string;
  readonly now: number;
  readonly settingsVersion: number;
  readonly checkpoint: Checkpoint | undefined;
  readonly facts: BlobFacts | undefined;
  readonly waiting: Waiting | undefined;
  readonly failure: Waiting | undefined;
  readonly sas: SasFacts;
  /** Bytes that came over the wire since the module started, repeats included. */
  readonly bytesFetched: number;
  readonly check: string;
}

const SOON_MS = 10 * 60_000;
const MAX_SKEW_MS = 5 * 60_000;

/** An HTTP-like code, as Plug and Play acknowledgements carry one. */
const CODES: Readonly<Record<string, number>> = {
  SAS_EXPIRED: 403,
  SAS_NOT_YET_VALID: 403,
  SAS_PERMISSION: 403,
  SAS_REFUSED: 403,
  ACCOUNT_NOT_FOUND: 404,
  CONTAINER_NOT_FOUND: 404,
  BLOB_NOT_FOUND: 404,
  BLOB_CONFLICT: 409,
  DELETE_GUARD: 409,
  CANCELLED: 409,
  FORMAT_REFUSED: 400,
  BAD_ROW: 400,
  BAD_ROWS: 400,
  TOO_MANY_ERRORS: 400,
  DATA_INVALID: 400,
};

function codeOf(state: SyncState, reason: string | undefined): number {
  if (state === 'done' || state === 'idle') return 200;
  if (state === 'failed' || state === 'cancelled') return CODES[reason ?? ''] ?? 503;
  return 202;
}

/** The reported property `sync`, bounded: ten errors at most, no value and no secret in it. */
export function describe(snapshot: SyncSnapshot): JsonObject {
  const { state, checkpoint, facts, now, sas } = snapshot;
  const why = whyOf(snapshot);
  const warnings = warningsOf(sas, facts, now);
  return {
    ac: codeOf(state, why?.code),
    av: snapshot.settingsVersion,
    state,
    ...(why === undefined ? {} : { code: why.code, message: why.message }),
    ...(warnings.length === 0 ? {} : { warnings }),
    blob: snapshot.blob,
    redis: snapshot.redis,
    ...(sas.expiresAt === undefined ? {} : { accessUntil: new Date(sas.expiresAt).toISOString() }),
    ...(sas.permissions === undefined ? {} : { accessPermissions: sas.permissions }),
    ...(checkpoint === undefined ? {} : counts(checkpoint, facts, now)),
  };
}

/** What there is to say about the state; the checkpoint may be that of a run before. */
function whyOf({ state, checkpoint, failure, waiting }: SyncSnapshot): Waiting | undefined {
  if (state === 'waiting' && waiting !== undefined) return waiting;
  if (failure !== undefined) return failure;
  if (state === 'running' || state === 'waiting') return undefined;
  if (state === 'cancelled' && checkpoint?.state !== 'cancelled') {
    const hasBegun = checkpoint?.state === 'running' || checkpoint?.state === 'sweeping';
    return {
      code: 'CANCELLED',
      message: hasBegun
        ? 'the run was cancelled, which Redis could not be told; a restart goes on with it'
        : 'the run was cancelled before it began; Sync starts it',
    };
  }
  const { code, message } = checkpoint ?? { code: null, message: null };
  return code === null ? undefined : { code, message: message ?? '' };
}

function counts(checkpoint: Checkpoint, facts: BlobFacts | undefined, now: number): JsonObject {
  const { startedAt, finishedAt, format } = checkpoint;
  return {
    etag: checkpoint.etag,
    startedAt: new Date(startedAt).toISOString(),
    finishedAt: finishedAt === undefined ? null : new Date(finishedAt).toISOString(),
    rows: checkpoint.rows,
    written: checkpoint.written,
    skipped: checkpoint.skipped,
    deleted: checkpoint.deleted,
    bytes: checkpoint.offset,
    ...(facts?.etag === checkpoint.etag ? { blobBytes: facts.length } : {}),
    durationMs: Math.max(0, (finishedAt ?? now) - startedAt),
    resumes: checkpoint.resumes,
    ...(format === undefined
      ? {}
      : {
          delimiter: format.delimiter,
          header: format.hasHeader,
          columns: format.columns.slice(0, 20).join(','),
        }),
    errors: checkpoint.errors.map(({ line, reason }) => ({ row: line, reason })),
  };
}

/** What will go wrong unless somebody does something. */
function warningsOf(sas: SasFacts, facts: BlobFacts | undefined, now: number): JsonObject[] {
  const warnings: JsonObject[] = [];
  if (facts === undefined) return warnings;
  const skew = facts.clockSkewMs;
  // The service decides by its clock, so its clock is what counts here.
  const left = sas.expiresAt === undefined ? Infinity : sas.expiresAt - (now + skew);
  if (left <= 0)
    warnings.push({ code: 'SAS_EXPIRED', message: 'the SAS has expired; set a new blobSasToken' });
  else if (left < SOON_MS) {
    warnings.push({
      code: 'SAS_EXPIRES_SOON',
      message: 'the SAS expires within 10 minutes; set a new blobSasToken',
    });
  }
  if (Math.abs(skew) > MAX_SKEW_MS) {
    warnings.push({
      code: 'CLOCK_SKEW',
      message: `the clock of this device is ${Math.round(Math.abs(skew) / 1000)} s ${skew > 0 ? 'behind' : 'ahead of'} the service's`,
    });
  }
  return warnings;
}
