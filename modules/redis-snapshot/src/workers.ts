import type { Clock, JsonValue, MethodReply, RedisConnection, RedisTarget } from '@iotedge-redis/common';
import { SuiteError } from '@iotedge-redis/common';
import { BlobContainer, ManagedIdentity } from '@iotedge-redis/common/blob';
import { createCopyWorker } from './copy/copy-worker.ts';
import { createExportWorker } from './export/export-worker.ts';
import { spoolFolder } from './export/spool.ts';
import { createImportWorker } from './import/import-worker.ts';
import type { Kind } from './run.ts';
import { copyContainer, ownContainer } from './settings.ts';
import type { SnapshotSettings } from './settings.ts';
import { listSnapshots } from './storage/snapshot-list.ts';
import type { Worker } from './work.ts';

export interface WorkersOptions {
  /** Asked at each request, so that a rotated SAS is used from the next one on. */
  readonly settings: () => SnapshotSettings;
  readonly connection: RedisConnection;
  readonly target: RedisTarget;
  readonly instance: string;
  readonly stateDir: string | undefined;
  readonly clock: Clock;
  /** Resolves once the export that makes this snapshot is over; at once when there is none of it. */
  readonly exported: (snapshot: string) => Promise<unknown>;
}

export interface Workers {
  /** Where snapshots are exported to and imported from. */
  readonly container: BlobContainer;
  readonly workers: Readonly<Record<Kind, Worker>>;
  /** Answers `ListSnapshots`. */
  list(payload: JsonValue, signal: AbortSignal): Promise<MethodReply>;
}

/** Composes what does the runs. */
export function createWorkers(options: WorkersOptions): Workers {
  const { settings, clock, exported } = options;
  const first = settings();
  const place = ownContainer(first);
  if (place === undefined) throw new SuiteError('CONFIG_INVALID', 'composing: there is no container');
  const sas = (): string => settings().blobSasToken ?? '';
  const identityBy = (setting: 'storageAuth' | 'copyStorageAuth'): ManagedIdentity | undefined =>
    first[setting] === 'sas'
      ? undefined
      : new ManagedIdentity({ clientId: first.managedIdentityClientId, setting });
  const identity = identityBy('storageAuth');
  const container = new BlobContainer({
    place,
    sas,
    identity,
    stallTimeoutMs: first.stallTimeoutMs,
    clock,
  });
  const copyPlace = copyContainer(first);
  const target =
    copyPlace === undefined
      ? undefined
      : new BlobContainer({
          place: copyPlace,
          sas: () => settings().copyBlobSasToken ?? '',
          identity: identityBy('copyStorageAuth'),
          stallTimeoutMs: first.stallTimeoutMs,
          clock,
          settings: { container: 'copyBlobContainerName', sas: 'copyBlobSasToken' },
        });
  const prefix = (): string => settings().snapshotPrefix;
  return {
    container,
    workers: {
      export: createExportWorker({ ...options, container }),
      copy: createCopyWorker({ source: container, target, prefix, clock, exported }),
      import: createImportWorker({
        ...options,
        container,
        sas,
        identity,
        prefix,
        keepFolder: () =>
          options.stateDir === undefined || settings().importSpool === 'none'
            ? undefined
            : spoolFolder(options.stateDir, options.instance),
        stallTimeoutMs: first.stallTimeoutMs,
      }),
    },
    list: (payload, signal) => listSnapshots(container, prefix(), payload, signal),
  };
}
