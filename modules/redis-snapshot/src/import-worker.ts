import { SuiteError } from '@iotedge-redis/common';
import type { Clock, JsonObject, RedisConnection, RedisTarget } from '@iotedge-redis/common';
import { BlobSource } from '@iotedge-redis/common/blob';
import type { BlobContainer } from '@iotedge-redis/common/blob';
import type { ImportPlan } from './import/import-plan.ts';
import { runImport } from './import/import-run.ts';
import { createBlobInput } from './import/rdb-input.ts';
import { ownPrefix } from './run-store.ts';
import { POLICIES } from './settings.ts';
import type { ImportPolicy, SnapshotSettings } from './settings.ts';
import type { SnapshotPart } from './storage/manifest.ts';
import { findSnapshot } from './storage/snapshot-list.ts';
import type { Work, Worker } from './work.ts';

export interface ImportWorkerOptions {
  readonly settings: () => SnapshotSettings;
  readonly container: BlobContainer;
  readonly connection: RedisConnection;
  readonly target: RedisTarget;
  readonly instance: string;
  readonly clock: Clock;
}

/** A file to import; of a file that no manifest speaks of, only the name is known. */
type File = Pick<SnapshotPart, 'blob'> & Partial<SnapshotPart>;

/** What an import goes on with: the files were chosen once, and those before `file` are in Redis. */
interface Kept extends JsonObject {
  readonly snapshot: string;
  readonly file: number;
}

/** Imports a snapshot by its manifest, or any RDB file by its name. */
export function createImportWorker(options: ImportWorkerOptions): Worker {
  return async (work) => {
    const connection = options.connection.duplicate();
    try {
      await work.patience.until(() => connection.connect(work.signal));
      return await importFiles(options, connection, work);
    } finally {
      await connection.close(AbortSignal.timeout(1000));
    }
  };
}

async function importFiles(
  options: ImportWorkerOptions,
  connection: RedisConnection,
  work: Work,
): Promise<JsonObject> {
  const { settings, container, target, instance, clock } = options;
  const { input, patience, signal, runId, log } = work;
  const kept = keptOf(work.checkpoint);
  const { name, files } = await choose(options, work, kept?.snapshot);
  const policy = policyOf(input['policy']);
  if (policy === 'exact' && files.length > 1) {
    throw new SuiteError(
      'CONFLICT',
      `importing ${name}: it consists of ${files.length} files, and policy exact would delete with each what the others hold; use replace into an empty Redis`,
    );
  }
  const results: JsonObject[] = [];
  for (const [index, file] of files.entries()) {
    if (index < (kept?.file ?? 0)) continue;
    const source = new BlobSource({
      place: { ...container.place, blob: file.blob },
      sas: () => settings().blobSasToken ?? '',
      stallTimeoutMs: settings().stallTimeoutMs,
      clock,
    });
    const result = await runImport({
      runId: files.length === 1 ? runId : `${runId}.${index}`,
      input: await createBlobInput(source, patience, signal),
      // The first file has found the target empty; the others go beside it.
      policy: index > 0 && policy === 'failIfNotEmpty' ? 'replace' : policy,
      staging: 'auto',
      connection,
      homeDb: target.db,
      isCluster: target.mode === 'cluster',
      timeoutMs: target.commandTimeoutMs,
      prefix: ownPrefix(instance),
      patience,
      signal,
      clock,
      log,
      plan: index === kept?.file ? planOf(work.checkpoint) : undefined,
      keepPlan: (plan) => work.keep({ snapshot: name, file: index, plan: toJson(plan) }),
      checkPlan: (plan) => mustMatch(file, plan),
      progress: (fields) =>
        work.progress({ snapshot: name, file: index + 1, files: files.length, ...fields }),
    });
    results.push(result);
    if (index + 1 < files.length) await work.keep({ snapshot: name, file: index + 1 });
  }
  const [only] = results;
  return { snapshot: name, policy, files: files.length, ...(results.length === 1 ? only : sums(results)) };
}

async function choose(
  { container, settings }: ImportWorkerOptions,
  { input, patience, signal }: Work,
  kept: string | undefined,
): Promise<{ readonly name: string; readonly files: readonly File[] }> {
  const { blob, snapshot } = input;
  if (typeof blob === 'string') return { name: blob, files: [{ blob }] };
  const wanted = kept ?? (typeof snapshot === 'string' ? snapshot : undefined);
  const { manifest } = await patience.until(() =>
    findSnapshot(container, settings().snapshotPrefix, wanted, signal),
  );
  return { name: manifest.name, files: manifest.parts };
}

function mustMatch(file: File, plan: ImportPlan): void {
  if (file.bytes === undefined || file.keys === undefined) return;
  const keys = Object.values(file.keys).reduce((sum, count) => sum + count, 0);
  if (plan.bytes === file.bytes && plan.keys === keys) return;
  throw new SuiteError(
    'DATA_INVALID',
    `importing ${file.blob}: its manifest says ${file.bytes} bytes and ${keys} keys, and it has ${plan.bytes} bytes and ${plan.keys} keys; export or copy it again`,
  );
}

function policyOf(given: unknown): ImportPolicy {
  return POLICIES.find((policy) => policy === given) ?? 'failIfNotEmpty';
}

function keptOf(checkpoint: JsonObject | undefined): Kept | undefined {
  const { snapshot, file } = checkpoint ?? {};
  return typeof snapshot === 'string' && typeof file === 'number' ? { snapshot, file } : undefined;
}

/** It is what `keepPlan` was given: plain data, kept by this module alone. */
function planOf(checkpoint: JsonObject | undefined): ImportPlan | undefined {
  const text = checkpoint?.['plan'];
  return typeof text === 'string' ? (JSON.parse(text) as ImportPlan) : undefined;
}

function toJson(plan: ImportPlan): string {
  return JSON.stringify(plan);
}

/** Numbers of several files together. */
function sums(results: readonly JsonObject[]): JsonObject {
  const total: JsonObject = {};
  for (const result of results) {
    for (const [name, value] of Object.entries(result)) {
      const before = total[name];
      total[name] = typeof value === 'number' && typeof before === 'number' ? before + value : value;
    }
  }
  return total;
}
