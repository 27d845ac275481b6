import { custom, FieldProblem, flag, integer, list, text, choice } from '@iotedge-redis/common';
import { textsOf } from './settings-texts.ts';

function databases(given: readonly string[]): readonly number[] {
  const numbers = given.map(Number);
  if (!numbers.every((n) => Number.isInteger(n) && n >= 0 && n <= 65_535)) {
    throw new FieldProblem('expected numbers of databases, separated by commas');
  }
  return [...new Set(numbers)];
}

/** Which streams are read, and how. */
export const streamFields = {
  redisDbs: custom<readonly number[]>({
    env: 'REDIS_DBS_TO_SEARCH',
    twin: 'redisDbs',
    type: 'numbers of databases, separated by commas',
    default: [],
    description: 'Databases that are read; without it, the one of REDIS_DB or of the endpoint.',
    fromText: (given) => databases(textsOf(given)),
    fromJson(value) {
      if (typeof value === 'string') return this.fromText(value);
      if (!Array.isArray(value) || !value.every((item) => typeof item === 'number')) {
        throw new FieldProblem('expected an array of numbers');
      }
      return databases(value.map(String));
    },
  }),
  redisStreams: list({
    env: 'REDIS_STREAMS',
    twin: 'redisStreams',
    default: [],
    description: 'Streams to forward, by name; they need not exist yet.',
  }),
  autoDiscovery: flag({
    env: 'STREAM_AUTO_DISCOVERY',
    twin: 'autoDiscovery',
    default: true,
    description:
      'Look for streams (SCAN … TYPE stream), besides those of REDIS_STREAMS. `dlq:*` and `iotedge-redis:*` are never taken.',
  }),
  include: list({
    env: 'STREAM_INCLUDE',
    twin: 'include',
    default: [],
    description: 'Patterns (`*`, `?`, `[a-z]`, `\\`) of the streams that discovery takes; empty means all.',
  }),
  exclude: list({
    env: 'STREAM_EXCLUDE',
    twin: 'exclude',
    default: [],
    description: 'Patterns of the streams that discovery leaves alone.',
  }),
  discoveryIntervalMs: integer({
    env: 'STREAM_DISCOVERY_INTERVAL_MS',
    twin: 'discoveryIntervalMs',
    min: 100,
    max: 86_400_000,
    default: 30_000,
    unit: 'ms',
    description: 'Longest time between two searches for streams; a small database is searched every 2 s.',
  }),
  group: text({
    env: 'STREAM_GROUP',
    twin: 'group',
    default: 'mqtt-group',
    description: 'Consumer group; created where it is missing.',
  }),
  groupStart: custom({
    env: 'STREAM_GROUP_START',
    twin: 'groupStart',
    type: '0, $ or the id of an entry',
    default: '0',
    description:
      'Where a group that is created begins: `0` at the first entry, `$` after the last one, or after this id. Also for a group that was lost.',
    fromText(given) {
      if (!/^(?:0|\$|\d{1,20}(?:-\d{1,20})?)$/.test(given))
        throw new FieldProblem('expected 0, $ or the id of an entry');
      return given;
    },
  }),
  consumer: text({
    env: 'STREAM_CONSUMER',
    default: 'mqtt-sync',
    description:
      'Consumer in the group. An instance with a name of its own appends it. It must stay the same across restarts: what it holds is read again by this name.',
  }),
  batchSize: integer({
    env: 'STREAM_BATCH_SIZE',
    twin: 'batchSize',
    min: 1,
    max: 10_000,
    default: 100,
    unit: 'entries',
    description: 'Most entries of one stream in one read.',
  }),
  readTimeoutMs: integer({
    env: 'STREAM_READ_TIMEOUT_MS',
    twin: 'readTimeoutMs',
    min: 10,
    max: 60_000,
    default: 1000,
    unit: 'ms',
    description: 'How long a read waits for entries before it is repeated.',
  }),
  claimIdleMs: integer({
    env: 'STREAM_CLAIM_IDLE_MS',
    twin: 'claimIdleMs',
    min: 100,
    max: 86_400_000,
    default: 60_000,
    unit: 'ms',
    description:
      'An entry that another consumer holds for so long without a sign of life is taken over. More than twice MQTT_PUBLISH_TIMEOUT_MS.',
  }),
  consumerExpiryMs: integer({
    env: 'STREAM_CONSUMER_EXPIRY_MS',
    min: 0,
    default: 86_400_000,
    unit: 'ms',
    description:
      'Consumers that are idle for so long and hold nothing are removed from the group; 0 keeps them.',
  }),
  singleActive: flag({
    env: 'STREAM_SINGLE_ACTIVE',
    default: false,
    description:
      'Of several instances in one group only one works at a time, which keeps the order of each stream; the others stand by.',
  }),
  maxDeliveries: integer({
    env: 'STREAM_MAX_DELIVERIES',
    twin: 'maxDeliveries',
    min: 1,
    max: 100,
    default: 5,
    description:
      'An entry that alone makes the broker close the connection this often, while the broker works otherwise, becomes a dead letter.',
  }),
  deadLetterMax: integer({
    env: 'DEAD_LETTER_MAX',
    twin: 'deadLetterMax',
    min: 1,
    max: 100_000_000,
    default: 10_000,
    unit: 'entries',
    description: 'Longest dead-letter stream. When it is full the bridge pauses; nothing is removed from it.',
  }),
  trim: choice({
    env: 'STREAM_TRIM',
    twin: 'trim',
    choices: ['none', 'acknowledged'],
    default: 'none',
    description: 'Remove from the streams what every consumer group has acknowledged.',
  }),
  maxBacklog: integer({
    env: 'MAX_BACKLOG',
    twin: 'maxBacklog',
    min: 0,
    default: 0,
    unit: 'entries',
    description: 'Longest backlog of one stream; 0 is no limit.',
  }),
  maxBacklogPolicy: choice({
    env: 'MAX_BACKLOG_POLICY',
    twin: 'maxBacklogPolicy',
    choices: ['block', 'dropOldest'],
    default: 'block',
    description:
      'Above MAX_BACKLOG: `block` keeps everything and reports it (a Redis with noeviction refuses its producers when it is full); `dropOldest` removes the oldest entries, counted.',
  }),
  housekeepingIntervalMs: integer({
    env: 'HOUSEKEEPING_INTERVAL_MS',
    min: 100,
    max: 86_400_000,
    default: 30_000,
    unit: 'ms',
    description: 'Time between two looks at lag, backlog and what can be trimmed.',
  }),
  redisPoolSize: integer({
    env: 'REDIS_POOL_SIZE',
    min: 1,
    max: 1000,
    default: 10,
    description:
      'Most Redis operations of upkeep (groups, claims, trimming) under way at a time in one database.',
  }),
  redisMaxRetries: integer({
    env: 'REDIS_MAX_RETRIES',
    min: 0,
    max: 1000,
    default: 5,
    description:
      'How often one operation of upkeep is repeated before it is left to the next round. The bridge itself never gives up.',
  }),
  redisRetryInterval: integer({
    env: 'REDIS_RETRY_INTERVAL',
    min: 0,
    max: 3600,
    default: 5,
    unit: 's',
    description: 'Time between these repetitions.',
  }),
  redisRateLimit: integer({
    env: 'REDIS_RATE_LIMIT',
    twin: 'redisRateLimit',
    min: 0,
    max: 1_000_000,
    default: 1000,
    unit: 'operations/s',
    description:
      'Most Redis operations per second; 0 is no limit. One operation reads or acknowledges many entries.',
  }),
};
