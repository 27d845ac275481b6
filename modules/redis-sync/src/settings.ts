import { choice, custom, integer, number, redisFields, text } from '@iotedge-redis/common';
import type { JsonValue, SettingsOf } from '@iotedge-redis/common';
import { FieldProblem } from '@iotedge-redis/common';
import { storageFields } from '@iotedge-redis/common/blob';
import { DELIMITERS } from './csv/format.ts';
import type { DelimiterName } from './csv/format.ts';

const delimiterNames = ['auto', ...Object.keys(DELIMITERS)] as ('auto' | DelimiterName)[];

function parseDelimiter(given: string): 'auto' | DelimiterName {
  const word = given === '\\t' ? 'tab' : given.toLowerCase();
  const found = delimiterNames.find(
    (name) => name === word || (name !== 'auto' && DELIMITERS[name] === given),
  );
  if (found === undefined) throw new FieldProblem(`expected one of ${delimiterNames.join(', ')}`);
  return found;
}

const storage = storageFields({
  env: '',
  twin: '',
  what: 'of the blob',
  sas: 'of the blob or of its container with the permission to read',
});

export const fields = {
  ...redisFields,
  storageAccountName: storage.accountName,
  blobEndpoint: storage.endpoint,
  blobContainerName: storage.containerName,
  blobFileName: text({
    env: 'BLOB_FILE_NAME',
    twin: 'blobFileName',
    description: 'Name of the blob, with its folders. A name that ends in `.gz` is unpacked.',
  }),
  blobSasToken: storage.sasToken,
  csvDelimiter: custom<'auto' | DelimiterName>({
    env: 'CSV_DELIMITER',
    twin: 'csvDelimiter',
    type: `one of ${delimiterNames.join(', ')}, or the character itself`,
    default: 'auto',
    description:
      'What separates the columns. `auto` decides once per file by its first 100 records and refuses a file that fits several.',
    fromText: parseDelimiter,
  }),
  csvHeader: choice({
    env: 'CSV_HEADER',
    twin: 'csvHeader',
    choices: ['auto', 'present', 'absent'],
    default: 'auto',
    description: 'Whether the first record names the columns. `auto`: when it holds the column name `key`.',
  }),
  valueType: choice({
    env: 'VALUE_TYPE',
    twin: 'valueType',
    choices: ['string', 'hash', 'json'],
    default: 'string',
    description:
      'What a row becomes unless its `type` column says otherwise: a string, a hash (of a JSON object, or of a column per field), or a string that has to be JSON.',
  }),
  ttlSeconds: integer({
    env: 'TTL_SECONDS',
    twin: 'ttlSeconds',
    min: 0,
    max: 3_153_600_000,
    default: 0,
    unit: 's',
    description:
      "Time to live of a row without one of its own, counted from the run's start; 0 keeps it for ever.",
  }),
  mode: choice({
    env: 'SYNC_MODE',
    twin: 'mode',
    choices: ['upsert', 'mirror'],
    default: 'upsert',
    description:
      '`mirror` also deletes the keys that this file held in an earlier mirror run and holds no longer.',
  }),
  maxDeletePercent: number({
    env: 'MAX_DELETE_PERCENT',
    twin: 'maxDeletePercent',
    min: 0,
    max: 100,
    default: 10,
    unit: '%',
    description: 'A mirror run that would delete more of the keys that the file owns than this deletes none.',
  }),
  errorMode: choice({
    env: 'ERROR_MODE',
    twin: 'errorMode',
    choices: ['skip', 'abort', 'validateFirst'],
    default: 'skip',
    description:
      'A bad row is skipped and counted, ends the run, or (`validateFirst`, which reads the file twice) keeps the whole file out.',
  }),
  maxErrorRate: number({
    env: 'MAX_ERROR_RATE',
    twin: 'maxErrorRate',
    min: 0,
    max: 1,
    default: 1,
    description:
      'With `skip`: the run ends when more than this share of its rows is bad, from 1000 rows on and at the end.',
  }),
  maxRecordBytes: integer({
    env: 'MAX_RECORD_BYTES',
    twin: 'maxRecordBytes',
    min: 1024,
    max: 268_435_456,
    default: 67_108_864,
    unit: 'bytes',
    description:
      'A longer row is bad, and so is a quote that is not closed within as many bytes. One such row is held in memory.',
  }),
  batchRows: integer({
    env: 'BATCH_ROWS',
    twin: 'batchRows',
    min: 1,
    max: 10_000,
    default: 1000,
    unit: 'rows',
    description: 'Rows per step; each step blocks Redis for about a millisecond per 1000 short rows.',
  }),
  maxRowsPerSecond: integer({
    env: 'MAX_ROWS_PER_SECOND',
    twin: 'maxRowsPerSecond',
    min: 0,
    default: 0,
    live: true,
    unit: 'rows/s',
    description: 'Cap on the load of Redis; 0 means none.',
  }),
  maxMemoryPercent: integer({
    env: 'MAX_MEMORY_PERCENT',
    twin: 'maxMemoryPercent',
    min: 1,
    max: 100,
    default: 95,
    live: true,
    unit: '%',
    description: 'The run waits while Redis uses more of its maxmemory than this.',
  }),
  stallTimeoutMs: integer({
    env: 'STALL_TIMEOUT_MS',
    twin: 'stallTimeoutMs',
    min: 100,
    max: 600_000,
    default: 20_000,
    unit: 'ms',
    description:
      'A download from which nothing arrives for so long is broken off and goes on at its last byte.',
  }),
  pollIntervalSeconds: integer({
    env: 'POLL_INTERVAL_SECONDS',
    twin: 'pollIntervalSeconds',
    min: 0,
    max: 604_800,
    default: 0,
    live: true,
    unit: 's',
    description: 'How often the blob is looked at for a new version; 0 means never.',
  }),
  syncToken: custom({
    env: 'SYNC_TOKEN',
    twin: 'syncToken',
    type: 'any text or number',
    description: 'Any change of it starts a run, even when the blob is the same.',
    fromText: (given) => given,
    fromJson(value: JsonValue) {
      if (typeof value !== 'string' && typeof value !== 'number')
        throw new FieldProblem('expected any text or number');
      return String(value);
    },
  }),
};

export type SyncSettings = SettingsOf<typeof fields>;

/** What is missing before a blob can be read at all, as a sentence. */
export function missingBlob(settings: SyncSettings): string | undefined {
  const { storageAccountName, blobEndpoint, blobContainerName, blobFileName, blobSasToken } = settings;
  const names = [
    ...(storageAccountName === undefined && blobEndpoint === undefined
      ? ['storageAccountName (or blobEndpoint)']
      : []),
    ...(blobContainerName === undefined ? ['blobContainerName'] : []),
    ...(blobFileName === undefined ? ['blobFileName'] : []),
    ...(blobSasToken === undefined ? ['blobSasToken'] : []),
  ];
  return names.length === 0
    ? undefined
    : `no blob to import yet: set the desired properties ${names.join(', ')}`;
}
