import { checkRedis, choice, flag, integer, redisFields, text } from '@iotedge-redis/common';
import type { SettingsOf } from '@iotedge-redis/common';
import { storageFields } from '@iotedge-redis/common/blob';
import type { BlobPlace } from '@iotedge-redis/common/blob';

/** What an import does about keys that the target holds already. */
export const POLICIES = ['failIfNotEmpty', 'skip', 'replace', 'exact'] as const;
export type ImportPolicy = (typeof POLICIES)[number];

/** What opens a container. */
const STORAGE_AUTHS = ['sas', 'managedIdentity'] as const;

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
  storageAuth: choice({
    env: 'STORAGE_AUTH',
    twin: 'storageAuth',
    choices: STORAGE_AUTHS,
    default: 'sas',
    description:
      'What opens the container of the snapshots: `sas`, the SAS `blobSasToken`; `managedIdentity`, the identity that Azure gives to a VM, an Arc machine or a pod of AKS, for which the image needs a package more (see the README).',
  }),
  copyStorageAuth: choice({
    env: 'COPY_STORAGE_AUTH',
    twin: 'copyStorageAuth',
    choices: STORAGE_AUTHS,
    default: 'sas',
    description: 'The same for the container that `Copy` takes snapshots to.',
  }),
  managedIdentityClientId: text({
    env: 'MANAGED_IDENTITY_CLIENT_ID',
    twin: 'managedIdentityClientId',
    pattern: /^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/,
    form: 'a client id, as in 00000000-0000-0000-0000-000000000000',
    description:
      "Client id of the user-assigned identity to use; without it the machine's own, or that of the pod's service account.",
  }),
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
  importSpool: choice({
    env: 'IMPORT_SPOOL',
    twin: 'importSpool',
    choices: ['volume', 'none'],
    default: 'volume',
    description:
      '`volume` keeps an imported snapshot in STATE_DIR while it is checked, so that it comes over the link once, where there is room for it (unpacked). `none`, and `volume` without STATE_DIR or room, fetches it once to check it and once to restore it.',
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

type ContainerPlace = Pick<BlobPlace, 'endpoint' | 'container'>;

interface StorageNames {
  readonly account: 'storageAccountName' | 'copyStorageAccountName';
  readonly endpoint: 'blobEndpoint' | 'copyBlobEndpoint';
  readonly container: 'blobContainerName' | 'copyBlobContainerName';
  readonly sas: 'blobSasToken' | 'copyBlobSasToken';
  readonly auth: 'storageAuth' | 'copyStorageAuth';
}

const OWN: StorageNames = {
  account: 'storageAccountName',
  endpoint: 'blobEndpoint',
  container: 'blobContainerName',
  sas: 'blobSasToken',
  auth: 'storageAuth',
};
const COPY: StorageNames = {
  account: 'copyStorageAccountName',
  endpoint: 'copyBlobEndpoint',
  container: 'copyBlobContainerName',
  sas: 'copyBlobSasToken',
  auth: 'copyStorageAuth',
};

/** Where snapshots are exported to and imported from; undefined while it is not named. */
export function ownContainer(settings: SnapshotSettings): ContainerPlace | undefined {
  return place(settings, OWN);
}

/** Where snapshots are copied to; undefined while it is not named. */
export function copyContainer(settings: SnapshotSettings): ContainerPlace | undefined {
  return place(settings, COPY);
}

function place(settings: SnapshotSettings, names: StorageNames): ContainerPlace | undefined {
  const account = settings[names.account];
  const endpoint =
    settings[names.endpoint] ??
    (account === undefined ? undefined : `https://${account}.blob.core.windows.net`);
  const container = settings[names.container];
  const isClosed = settings[names.auth] === 'sas' && settings[names.sas] === undefined;
  return endpoint === undefined || container === undefined || isClosed ? undefined : { endpoint, container };
}

/** Settings that contradict each other. */
export function checkSettings(
  settings: SnapshotSettings,
): { name: keyof SnapshotSettings; problem: string }[] {
  const mistakes: { name: keyof SnapshotSettings; problem: string }[] = [...checkRedis(settings)];
  for (const names of [OWN, COPY]) {
    if (settings[names.auth] === 'sas') continue;
    if (settings[names.sas] !== undefined) {
      const problem = `managedIdentity and ${names.sas} exclude each other: remove one of the two`;
      mistakes.push({ name: names.auth, problem });
    }
    if (settings[names.endpoint]?.startsWith('http:') === true) {
      const problem = `must be https:// with ${names.auth} managedIdentity: its token goes over nothing else`;
      mistakes.push({ name: names.endpoint, problem });
    }
  }
  const { storageAuth, copyStorageAuth, managedIdentityClientId } = settings;
  if (managedIdentityClientId !== undefined && storageAuth === 'sas' && copyStorageAuth === 'sas') {
    const problem =
      'only used with storageAuth or copyStorageAuth managedIdentity: set one of them, or remove it';
    mistakes.push({ name: 'managedIdentityClientId', problem });
  }
  return mistakes;
}

/** What is missing before there is a place for snapshots, as a sentence. */
export function missingContainer(settings: SnapshotSettings): string | undefined {
  if (ownContainer(settings) !== undefined) return undefined;
  return 'no container for snapshots yet: set the desired properties storageAccountName (or blobEndpoint), blobContainerName and blobSasToken (or storageAuth)';
}
