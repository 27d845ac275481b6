import { choice, custom, FieldProblem, flag, integer, list, text } from '@iotedge-redis/common';
import { PAYLOADS, VALUE_MODES } from '../shape/shape.ts';
import { templateProblem } from '../shape/template.ts';

const FORM =
  'text with {field}, {a.b}, {@key}, {@header:NAME}, {@topic}, {@partition}, {@offset}, {@timestamp}';

function checked(given: string, isChannel: boolean): string {
  const problem = templateProblem(given, isChannel);
  if (problem !== undefined) throw new FieldProblem(`expected ${FORM}; it ${problem}`);
  return given;
}

const template = {
  type: 'template',
  live: true,
  fromText: (given: string) => checked(given, false),
} as const;

/** What a record becomes in Redis, and who is told. All of it can change while the module runs, from the next batch on. */
export const shapeFields = {
  keyTemplate: custom({
    ...template,
    env: 'KEY_TEMPLATE',
    twin: 'keyTemplate',
    default: '{@key}',
    description:
      'Redis key of a record, as in `battery:{battery_id}:data`: `{name}` is a field of the JSON value (`{a.b}` a nested one), `{@key}` the Kafka key; also `{@header:NAME}`, `{@topic}`, `{@partition}`, `{@offset}`, `{@timestamp}`. `{name|text}` takes the text where there is nothing.',
  }),
  tombstoneKeyTemplate: custom({
    ...template,
    env: 'TOMBSTONE_KEY_TEMPLATE',
    twin: 'tombstoneKeyTemplate',
    description:
      'The same for records without a value, which delete the key; needed where KEY_TEMPLATE has fields of the value, as in `battery:{@key}:data`.',
  }),
  valueMode: choice({
    env: 'VALUE_MODE',
    twin: 'valueMode',
    choices: VALUE_MODES,
    default: 'hash',
    live: true,
    description:
      '`hash`: the fields of the JSON object are set, null removes one, others stay. `hash-replace`: they are all there is. `string`: the bytes as they are. `json`: the same, and it has to be JSON.',
  }),
  nested: choice({
    env: 'NESTED',
    twin: 'nested',
    choices: ['json', 'flatten'],
    default: 'json',
    live: true,
    description: 'Objects inside of a value become JSON text, or fields of their own (`a.b`).',
  }),
  excludeFields: list({
    env: 'EXCLUDE_FIELDS',
    twin: 'excludeFields',
    default: [],
    live: true,
    description: 'Fields that are not stored in the hash.',
  }),
  indexKey: text({
    env: 'INDEX_KEY',
    twin: 'indexKey',
    live: true,
    description: 'A set that gets INDEX_MEMBER of every key that is stored, as in `info:batteries:ids`.',
  }),
  indexMember: custom({
    ...template,
    env: 'INDEX_MEMBER',
    twin: 'indexMember',
    default: '{@redisKey}',
    fromText: (given) => checked(given, true),
    description: 'What goes into the index, as in `{battery_id}`; `{@redisKey}` is the key.',
  }),
  tombstoneIndexMember: custom({
    ...template,
    env: 'TOMBSTONE_INDEX_MEMBER',
    twin: 'tombstoneIndexMember',
    fromText: (given) => checked(given, true),
    description: 'What a tombstone takes out of the index, where INDEX_MEMBER has fields of the value.',
  }),
  ttlSeconds: integer({
    env: 'TTL_SECONDS',
    twin: 'ttlSeconds',
    min: 0,
    max: 3_153_600_000,
    default: 0,
    unit: 's',
    live: true,
    description: 'Time to live of a key, counted from when its record is stored; 0 keeps it for ever.',
  }),
  ttlHeader: text({
    env: 'TTL_HEADER',
    twin: 'ttlHeader',
    default: 'redis.key.ttl',
    live: true,
    description: 'Header whose value (seconds) counts before TTL_SECONDS.',
  }),
  ttlField: text({
    env: 'TTL_FIELD',
    twin: 'ttlField',
    live: true,
    description: 'Field of the JSON value whose value (seconds) counts before both.',
  }),
  channelTemplate: custom({
    ...template,
    env: 'CHANNEL_TEMPLATE',
    twin: 'channelTemplate',
    fromText: (given) => checked(given, true),
    description:
      'Channel of the notice; without it, the key. `__keyspace@{@db}__:{@redisKey}` is for consumers that listen to keyspace channels.',
  }),
  notify: choice({
    env: 'NOTIFY',
    twin: 'notify',
    choices: PAYLOADS,
    default: 'updates',
    live: true,
    description:
      'The notice of a stored record: `updates` (`deleted` for a tombstone), `json` with key, op, ver, topic, partition, offset, ts and changed, `event` (hset, set, del, as keyspace notices have it), or `none`.',
  }),
  suppressUnchanged: flag({
    env: 'SUPPRESS_UNCHANGED',
    twin: 'suppressUnchanged',
    default: false,
    live: true,
    description:
      'No notice and no entry of the change stream for a record that changes nothing; costs a look per field.',
  }),
  changesLength: integer({
    env: 'CHANGES_LENGTH',
    twin: 'changesLength',
    min: 0,
    max: 10_000_000,
    default: 10_000,
    unit: 'entries',
    live: true,
    description:
      'About so many entries are kept in each stream `changes:TOPIC:PARTITION`, from which a subscriber that was away catches up; 0 writes none.',
  }),
  onError: choice({
    env: 'ON_ERROR',
    twin: 'onError',
    choices: ['dlq', 'skip', 'stop'],
    default: 'dlq',
    live: true,
    description:
      'A record that cannot be stored goes to the stream `dlq:kafka-ingest`, is counted and left out, or holds its partition.',
  }),
  deadLetterMax: integer({
    env: 'DEAD_LETTER_MAX',
    twin: 'deadLetterMax',
    min: 1,
    max: 100_000_000,
    default: 10_000,
    unit: 'entries',
    live: true,
    description:
      'Longest dead-letter stream. When it is full the partition waits; nothing is removed from it.',
  }),
  maxRecordBytes: integer({
    env: 'MAX_RECORD_BYTES',
    twin: 'maxRecordBytes',
    min: 1024,
    max: 52_428_800,
    default: 1_048_576,
    unit: 'bytes',
    live: true,
    description:
      'A record with a larger key and value cannot be stored; its dead letter keeps the first 64 KiB.',
  }),
  batchRecords: integer({
    env: 'BATCH_RECORDS',
    twin: 'batchRecords',
    min: 1,
    max: 5000,
    default: 256,
    unit: 'records',
    live: true,
    description: 'Most records in one step; Redis answers nobody else for a millisecond or so per 256.',
  }),
  batchBytes: integer({
    env: 'BATCH_BYTES',
    twin: 'batchBytes',
    min: 1024,
    max: 16_777_216,
    default: 262_144,
    unit: 'bytes',
    live: true,
    description: 'A step takes no further record once it has so many bytes.',
  }),
  maxRecordsPerSecond: integer({
    env: 'MAX_RECORDS_PER_SECOND',
    twin: 'maxRecordsPerSecond',
    min: 0,
    max: 1_000_000_000,
    default: 0,
    unit: 'records/s',
    live: true,
    description: 'Cap over all partitions; 0 is none.',
  }),
  memoryHighPercent: integer({
    env: 'MEMORY_HIGH_PERCENT',
    twin: 'memoryHighPercent',
    min: 1,
    max: 100,
    default: 90,
    unit: '%',
    live: true,
    description: 'When Redis uses more than this share of its maxmemory, nothing is applied …',
  }),
  memoryLowPercent: integer({
    env: 'MEMORY_LOW_PERCENT',
    twin: 'memoryLowPercent',
    min: 0,
    max: 100,
    default: 80,
    unit: '%',
    live: true,
    description: '… until it uses less than this one.',
  }),
  paused: flag({
    env: 'INGEST_PAUSED',
    twin: 'paused',
    default: false,
    live: true,
    description: 'Apply nothing until it is false again; outlasts restarts, unlike the method Pause.',
  }),
};
