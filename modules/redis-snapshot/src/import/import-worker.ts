import { join } from 'node:path';
import { SuiteError, errorText } from '@iotedge-redis/common';
import type { Clock, JsonObject, JsonValue, RedisConnection, RedisTarget } from '@iotedge-redis/common';
import { BlobSource } from '@iotedge-redis/common/blob';
import type { BlobContainer, ManagedIdentity } from '@iotedge-redis/common/blob';
import { ownPrefix } from '../run-store.ts';
import { POLICIES } from '../settings.ts';
import type { ImportPolicy } from '../settings.ts';
import type { SnapshotPart } from '../storage/manifest.ts';
import { findSnapshot } from '../storage/snapshot-list.ts';
import type { Work, Worker } from '../work.ts';
import type { ImportPlan } from './import-plan.ts';
import { runImport } from './import-run.ts';
import { keepInput } from './kept-input.ts';
import type { KeptInput } from './kept-input.ts';
import { createBlobInput } from './rdb-input.ts';
import { sanitizeAgainAs, sanitizeFrom } from './sanitizing.ts';

export interface ImportWorkerOptions {
  readonly container: BlobContainer;
  readonly sas: () => string;
  /** Opens the container instead of a SAS. */
  readonly identity: ManagedIdentity | undefined;
  readonly prefix: () => string;
  readonly stallTimeoutMs: number;
  readonly connection: RedisConnection;
  readonly target: RedisTarget;
  readonly instance: string;
  /** Folder on the volume for what is read twice; undefined where that is fetched twice. */
  readonly keepFolder: () => string | undefined;
  readonly clock: Clock;
}

/** What an import keeps over a restart of the module, beside the checkpoint in Redis. */
interface Kept {
  readonly snapshot?: string;
  readonly plans: readonly ImportPlan[];
  /** The server's own setting, to be put back. */
  readonly sanitizeBefore?: string;
}

interface Chosen {
  /** Undefined for a blob without a manifest. */
  readonly snapshot: string | undefined;
  readonly blobs: readonly { readonly name: string; readonly part: SnapshotPart | undefined }[];
}

/** Imports a snapshot of this module, or any RDB file in the container, plain or gzip. */
export function createImportWorker(options: ImportWorkerOptions): Worker {
  return async (work) => {
    const kept = readKept(work.checkpoint);
    const chosen = await choose(options, work, kept);
    const inputs: KeptInput[] = [];
    for (const { name } of chosen.blobs) inputs.push(await openBlob(options, work, name, inputs.length));
    const { target, clock, instance } = options;
    const connection = options.connection.duplicate();
    try {
      await work.patience.until(() => connection.connect(work.signal));
      const before = kept.sanitizeBefore ?? (await work.patience.until(() => sanitizeFrom(connection)));
      if (before === undefined)
        work.log.warn(
          'Redis does not let this module set sanitize-dump-payload: values are restored without its deep check',
        );
      const keep = (plans: readonly ImportPlan[]): Promise<void> =>
        work.keep(
          writeKept({
            ...chosenName(chosen),
            plans,
            ...(before === undefined ? {} : { sanitizeBefore: before }),
          }),
        );
      await keep(kept.plans);
      try {
        const result = await runImport({
          runId: work.runId,
          inputs,
          policy: policyOf(work.input),
          staging: stagingOf(work.input),
          connection,
          redis: target,
          homeDb: target.db,
          isCluster: target.mode === 'cluster',
          prefix: ownPrefix(instance),
          patience: work.patience,
          signal: work.signal,
          clock,
          log: work.log,
          plans: kept.plans,
          keepPlans: keep,
          checkPlan: (plan, index) => checkManifest(plan, chosen.blobs[index]?.part),
          progress: (fields) => work.progress(fields),
        });
        return { ...chosenName(chosen), files: inputs.length, ...result, isSanitized: before !== undefined };
      } finally {
        if (before !== undefined) await putBack(connection, before, work);
      }
    } finally {
      await connection.close(AbortSignal.timeout(1000));
      for (const input of inputs) await input.close();
    }
  };
}

async function putBack(connection: RedisConnection, before: string, work: Work): Promise<void> {
  try {
    await sanitizeAgainAs(connection, before);
  } catch (error) {
    work.log.warn('sanitize-dump-payload of Redis could not be put back', {
      to: before,
      error: errorText(error),
    });
  }
}

async function choose(options: ImportWorkerOptions, work: Work, kept: Kept): Promise<Chosen> {
  const { container, prefix } = options;
  const { input, patience, signal } = work;
  const blob = input['blob'];
  if (typeof blob === 'string') return { snapshot: undefined, blobs: [{ name: blob, part: undefined }] };
  const wanted = kept.snapshot ?? input['snapshot'];
  const { manifest } = await patience.until(() =>
    findSnapshot(container, prefix(), typeof wanted === 'string' ? wanted : undefined, signal),
  );
  return { snapshot: manifest.name, blobs: manifest.parts.map((part) => ({ name: part.blob, part })) };
}

async function openBlob(
  options: ImportWorkerOptions,
  work: Work,
  blob: string,
  index: number,
): Promise<KeptInput> {
  const place = { ...options.container.place, blob };
  const { sas, identity, stallTimeoutMs, clock } = options;
  const source = new BlobSource({ place, sas, identity, stallTimeoutMs, clock });
  const input = await createBlobInput(source, work.patience, work.signal);
  const folder = options.keepFolder();
  return keepInput(
    input,
    folder === undefined ? undefined : join(folder, `${work.runId}-${index}.import`),
    work.log,
  );
}

function checkManifest(plan: ImportPlan, part: SnapshotPart | undefined): void {
  if (part === undefined) return;
  const keys = Object.fromEntries(plan.databases.map(([db, count]) => [String(db), count]));
  const stated =
    part.keys === null
      ? keys
      : Object.fromEntries(Object.entries(part.keys).filter(([, count]) => count > 0));
  const isAsCounted = JSON.stringify(keys) === JSON.stringify(stated);
  if (plan.bytes === part.bytes && plan.version === part.rdbVersion && isAsCounted) return;
  throw new SuiteError(
    'DATA_INVALID',
    `checking ${part.blob} against its manifest: it has ${plan.bytes} bytes, RDB version ${plan.version} and ${plan.keys} keys, and the manifest says otherwise; export again`,
  );
}

function policyOf(input: JsonObject): ImportPolicy {
  return POLICIES.find((policy) => policy === input['policy']) ?? 'failIfNotEmpty';
}

function stagingOf(input: JsonObject): 'auto' | 'always' | 'never' {
  const { staged } = input;
  return staged === true ? 'always' : staged === false ? 'never' : 'auto';
}

function chosenName({ snapshot, blobs }: Chosen): { readonly snapshot?: string; readonly blob?: string } {
  if (snapshot !== undefined) return { snapshot };
  const [first] = blobs;
  return first === undefined ? {} : { blob: first.name };
}

function writeKept(kept: Kept): JsonObject {
  return JSON.parse(JSON.stringify(kept)) as JsonObject;
}

function readKept(value: JsonValue | undefined): Kept {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { plans: [] };
  const { snapshot, plans, sanitizeBefore } = value;
  return {
    ...(typeof snapshot === 'string' ? { snapshot } : {}),
    plans: plansOf(plans),
    ...(typeof sanitizeBefore === 'string' ? { sanitizeBefore } : {}),
  };
}

function plansOf(value: unknown): readonly ImportPlan[] {
  const plans: unknown[] = Array.isArray(value) ? value : [];
  return plans.every(isPlan) ? plans : [];
}

/** Written by this version of the module; otherwise the file is read anew. */
function isPlan(value: unknown): value is ImportPlan {
  return (
    typeof value === 'object' &&
    value !== null &&
    'inputVersion' in value &&
    'databases' in value &&
    'largestBytes' in value &&
    'suite' in value
  );
}
