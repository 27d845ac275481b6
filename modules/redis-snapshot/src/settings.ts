import { choice, flag, integer, redisFields, text } from '@iotedge-redis/common';
import type { SettingsOf } from '@iotedge-redis/common';
import { storageFields } from '@iotedge-redis/common/blob';
import type { BlobPlace } from '@iotedge-redis/common/blob';

/** What an import does about keys that the target holds already. */
export const POLICIES = ['failIfNotEmpty', 'skip', 'replace', 'exact'] as const;
export type ImportPolicy = (typeof POLICIES)[number];

const own = storageFields({
  env: '',
  twin: '',
  what: 'of the snapshots that are exported and imported here',
  sas: 'of that container with the permissions to read, write, list and, with `retainSnapshots`, delete (`sp=rcwdl`)',
});
const target = storageFields({
  env: 'COPY_',
  twin: 'copy',
  what: 'that `Copy` takes snapshots to',
  sas: 'of that container with the permissions to read, write and list (`sp=rcwl`)',
});

export const fields = {
  ...redisFields,
  storageAccountName: own.accountName,
  blobEndpoint: own.endpoint,
  blobContainerName: own.containerName,
  blobSasToken: own.sasToken,
  copyStorageAccountName: target.accountName,
  copyBlobEndpoint: target.endpoint,
  copyBlobContainerName: target.containerName,
  copyBlobSasToken: target.sasToken,
  snapshotPrefix: text({
    env: 'SNAPSHOT_PREFIX',
    twin: 'snapshotPrefix',
    default: 'snapshots/',
    pattern: /^[A-Za-z0-9][A-Za-z0-9_./-]{0,199}$/,
    form: 'a blob name prefix of letters, digits, _ . / and -',
    description:
      'Begins the names of all blobs of this module; several sites in one container need one each.',
  }),
  exportSpool: choice({
    env: 'EXPORT_SPOOL',
    twin: 'exportSpool',
    choices: ['volume', 'none'],
    default: 'volume',
    description:
      '`volume` takes the snapshot into a file in STATE_DIR at local speed and uploads from there, so that a slow or broken upload neither holds Redis up nor starts over; it needs as much room as the snapshot. `none`, and `volume` without STATE_DIR, uploads while Redis sends.',
  }),
  exportMethod: choice({
    env: 'EXPORT_METHOD',
    twin: 'exportMethod',
    choices: ['auto', 'sync', 'scan'],
    default: 'auto',
    description:
      '`sync` takes a point-in-time snapshot as a replica would; `scan` reads key by key, which is not of one point in time; `auto` scans only where the server forbids SYNC.',
  }),
  exportSkipSyncDelay: flag({
    env: 'EXPORT_SKIP_SYNC_DELAY',
    twin: 'exportSkipSyncDelay',
    default: true,
    description:
      "Sets the server's repl-diskless-sync-delay (5 s by default) to 0 for the moment in which the export begins, where the ACL permits CONFIG.",
  }),
  exportIntervalMinutes: integer({
    env: 'EXPORT_INTERVAL_MINUTES',
    twin: 'exportIntervalMinutes',
    min: 0,
    max: 525_600,
    default: 0,
    live: true,
    unit: 'min',
    description:
      'Exports at every multiple of so many minutes since midnight of 1970-01-01 UTC (60: at each full hour, 1440: at midnight UTC); 0 means never.',
  }),
  copyAfterExport: flag({
    env: 'COPY_AFTER_EXPORT',
    twin: 'copyAfterExport',
    default: false,
    live: true,
    description: 'Whether each export is followed by a copy of its snapshot.',
  }),
  retainSnapshots: integer({
    env: 'RETAIN_SNAPSHOTS',
    twin: 'retainSnapshots',
    min: 0,
    max: 10_000,
    default: 0,
    live: true,
    description:
      'After an export all but the newest so many snapshots under `snapshotPrefix` are deleted; 0 keeps all.',
  }),
  importOnArrival: choice({
    env: 'IMPORT_ON_ARRIVAL',
    twin: 'importOnArrival',
    choices: ['off', ...POLICIES],
    default: 'off',
    description:
      'Whether a snapshot that arrives in the container is imported, and by which policy: `failIfNotEmpty` only into an empty Redis, `skip` keeps keys that exist, `replace` overwrites them, `exact` also deletes what the snapshot does not hold.',
  }),
  arrivalPollSeconds: integer({
    env: 'ARRIVAL_POLL_SECONDS',
    twin: 'arrivalPollSeconds',
    min: 1,
    max: 86_400,
    default: 30,
    live: true,
    unit: 's',
    description: 'How often the container is looked at for arrived snapshots, with `importOnArrival`.',
  }),
  stallTimeoutMs: integer({
    env: 'STALL_TIMEOUT_MS',
    twin: 'stallTimeoutMs',
    min: 100,
    max: 600_000,
    default: 20_000,
    unit: 'ms',
    description: 'A request to the storage service that stands still for so long is broken off and repeated.',
  }),
};

export type SnapshotSettings = SettingsOf<typeof fields>;

interface ContainerPlace extends Pick<BlobPlace, 'endpoint' | 'container'> {
  readonly sas: string;
}

/** Where snapshots are exported to and imported from; undefined while it is not named. */
export function ownContainer(settings: SnapshotSettings): ContainerPlace | undefined {
  const { storageAccountName, blobEndpoint, blobContainerName, blobSasToken } = settings;
  return place(storageAccountName, blobEndpoint, blobContainerName, blobSasToken);
}

/** Where snapshots are copied to; undefined while it is not named. */
export function copyContainer(settings: SnapshotSettings): ContainerPlace | undefined {
  const { copyStorageAccountName, copyBlobEndpoint, copyBlobContainerName, copyBlobSasToken } = settings;
  return place(copyStorageAccountName, copyBlobEndpoint, copyBlobContainerName, copyBlobSasToken);
}

function place(
  account: string | undefined,
  given: string | undefined,
  container: string | undefined,
  sas: string | undefined,
): ContainerPlace | undefined {
  const endpoint = given ?? (account === undefined ? undefined : `https://${account}.blob.core.windows.net`);
  if (endpoint === undefined || container === undefined || sas === undefined) return undefined;
  return { endpoint, container, sas };
}

/** What is missing before there is a place for snapshots, as a sentence. */
export function missingContainer(settings: SnapshotSettings): string | undefined {
  if (ownContainer(settings) !== undefined) return undefined;
  return 'no container for snapshots yet: set the desired properties storageAccountName (or blobEndpoint), blobContainerName and blobSasToken';
}
