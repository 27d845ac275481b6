import type { JsonObject } from '@iotedge-redis/common';
import type { Run } from './run.ts';

/** An HTTP-like code, as Plug and Play acknowledgements carry one. */
const CODES: Readonly<Record<string, number>> = {
  SAS_EXPIRED: 403,
  SAS_NOT_YET_VALID: 403,
  SAS_PERMISSION: 403,
  SAS_REFUSED: 403,
  REDIS_DENIED: 403,
  REDIS_AUTH: 403,
  ACCOUNT_NOT_FOUND: 404,
  CONTAINER_NOT_FOUND: 404,
  BLOB_NOT_FOUND: 404,
  NOT_FOUND: 404,
  CONFLICT: 409,
  CANCELLED: 409,
  CONFIG_INVALID: 400,
  DATA_INVALID: 400,
  TOO_LARGE: 400,
};

function codeOf(run: Run): number {
  if (run.state === 'done') return 200;
  if (run.state === 'running' || run.state === 'waiting') return 202;
  return CODES[run.error?.code ?? ''] ?? 503;
}

/** A run as `Operation` answers it and as the twin shows it: bounded, no value and no secret in it. */
export function describeRun(run: Run, now: number): JsonObject {
  return {
    ac: codeOf(run),
    runId: run.id,
    kind: run.kind,
    state: run.state,
    ...(run.error === undefined ? {} : { code: run.error.code, message: run.error.message }),
    trigger: run.trigger,
    ...(Object.keys(run.input).length === 0 ? {} : { input: run.input }),
    startedAt: new Date(run.startedAt).toISOString(),
    finishedAt: run.finishedAt === undefined ? null : new Date(run.finishedAt).toISOString(),
    durationMs: Math.max(0, (run.finishedAt ?? now) - run.startedAt),
    resumes: run.resumes,
    ...(run.result === undefined ? { progress: run.progress } : { result: run.result }),
  };
}
