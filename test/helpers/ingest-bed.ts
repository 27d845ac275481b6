import { deepEqual, equal } from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { createBridgeProcess } from './bridge-process.ts';
import type { BridgeProcess } from './bridge-process.ts';
import { checkNotices, expectedOf, readTopic } from './ingest-ledger.ts';
import type { Expected, Heard } from './ingest-ledger.ts';
import type { TestKafka } from './kafka.ts';
import { startRedis } from './redis.ts';
import type { TestRedis } from './redis.ts';

const MAIN = fileURLToPath(new URL('../../modules/kafka-ingest/src/main.ts', import.meta.url));
const DEAD_LETTERS = 'dlq:kafka-ingest';
/** Redis keeps what it acknowledged. */
export const KEEPS_ALL = ['--appendonly', 'yes', '--appendfsync', 'always'];
/** Without a step forward; a million records take a while on a machine that does other things, too. */
const LIMIT_MS = 90_000;

export interface IngestBedOptions {
  /** The broker is shared by the tests of a file; each has a topic and a group of its own. */
  readonly kafka: TestKafka;
  readonly partitions?: number;
  /** Where the notices are published; one with KEEPS_ALL is started when it is left out. */
  readonly redis?: TestRedis;
  /** Environment of every instance, over the bed's. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Go to Kafka through its fault proxy. */
  readonly isProxied?: boolean;
}

export interface CheckOptions {
  /** Notices may have gone unheard, since the subscriber was away for a while; none may have come twice. */
  readonly mayMiss?: boolean;
}

export interface IngestBed {
  readonly topic: string;
  readonly group: string;
  readonly redis: TestRedis;
  readonly client: Redis;
  readonly heard: Heard[];
  /** An instance of the module, not started yet. */
  instance(name: string, environment?: Readonly<Record<string, string>>): Promise<BridgeProcess>;
  /** Next offsets by Redis, -1 where it has none. */
  readonly positions: () => Promise<number[]>;
  /** Waits until Redis stands at the end of every partition. */
  settled(): Promise<void>;
  /** Compares state, change streams, dead letters, positions and notices with what the topic has to come to. */
  check(options?: CheckOptions): Promise<Expected>;
  /** State, change streams, dead letters and positions alone. */
  checkState(): Promise<Expected>;
}

let beds = 0;

/** A topic, a Redis with somebody who listens to every notice, and instances of the module as processes of their own. */
export async function ingestBed(t: TestContext, options: IngestBedOptions): Promise<IngestBed> {
  const { kafka, partitions = 3 } = options;
  beds += 1;
  const topic = `t${process.pid}-${beds}`;
  const group = `g${process.pid}-${beds}`;
  await kafka.createTopic(topic, partitions);
  const { clusterId } = await kafka.admin.describeCluster();
  const redis = options.redis ?? (await startRedis(t, { args: KEEPS_ALL }));
  const client = connect(t, redis.port);
  const subscriber = connect(t, redis.port);
  const heard: Heard[] = [];
  subscriber.on('pmessage', (_pattern: string, channel: string, text: string) => {
    if (!/^p\d+:/.test(channel)) return;
    const { topic: from, partition, offset } = JSON.parse(text) as Heard;
    if (from === topic) heard.push({ topic: from, partition, offset });
  });
  await subscriber.psubscribe('*');
  const environment = {
    KAFKA_BROKER: options.isProxied === true ? kafka.proxied : kafka.address,
    KAFKA_TOPIC: topic,
    KAFKA_GROUP: group,
    REDIS_HOST: '127.0.0.1',
    REDIS_PORT: String(redis.port),
    VALUE_MODE: 'hash',
    NOTIFY: 'json',
    CHANGES_LENGTH: '10000000',
    KAFKA_SESSION_TIMEOUT_MS: '1500',
    REDIS_COMMAND_TIMEOUT_MS: '1000',
    ...options.environment,
  };
  const keys = Array.from({ length: partitions }, (_, partition) => ({
    position: `iotedge-redis:kafka-ingest:{${group}}:${clusterId}:${topic}:${partition}`,
    changes: `changes:${topic}:${partition}`,
  }));
  const positions = async (): Promise<number[]> =>
    Promise.all(keys.map(async ({ position }) => Number((await client.hget(position, 'next')) ?? -1)));
  const bed: IngestBed = {
    topic,
    group,
    redis,
    client,
    heard,
    instance: (name, more = {}) =>
      createBridgeProcess(t, { ...environment, INSTANCE_NAME: name, ...more }, [], MAIN),
    positions,
    async settled() {
      const ends = await kafka.ends(topic);
      let at: number[] = [];
      for (let movedAt = Date.now(); ;) {
        const now = await positions().catch(() => at);
        if (String(now) !== String(at)) movedAt = Date.now();
        at = now;
        if (ends.every((end, partition) => at[partition] === end)) return;
        if (Date.now() - movedAt > LIMIT_MS)
          throw new Error(`Redis stands at ${at.join(', ')} of ${ends.join(', ')}`);
        await sleep(50);
      }
    },
    async checkState() {
      await bed.settled();
      const expected = expectedOf(await readTopic(kafka, topic), partitions);
      deepEqual(await positions(), await kafka.ends(topic), 'positions');
      deepEqual(await hashesOf(client), new Map([...expected.hashes].sort(byName)), 'state');
      for (const [partition, wanted] of expected.changes.entries())
        deepEqual(
          await changesOf(client, keys[partition]?.changes ?? ''),
          wanted,
          `change stream ${partition}`,
        );
      deepEqual(await deadLettersOf(client, topic, partitions), expected.poison, 'dead letters');
      return expected;
    },
    async check(checkOptions = {}) {
      const expected = await bed.checkState();
      // The last ones may still be on their way to the subscriber.
      const count = expected.changes.reduce((sum, list) => sum + list.length, 0);
      for (let n = 0; n < 50 && heard.length < count; n += 1) await sleep(20);
      checkNotices(heard, expected, checkOptions);
      return expected;
    },
  };
  return bed;
}

/** What the instance has to tell of itself when a test fails is in its log. */
export function outputOf(instances: readonly BridgeProcess[]): string {
  return instances.map((one) => one.output()).join('\n----\n');
}

function connect(t: TestContext, port: number): Redis {
  const client = new Redis({ port, host: '127.0.0.1', retryStrategy: () => 50, maxRetriesPerRequest: null });
  client.on('error', () => undefined);
  t.after(() => client.disconnect());
  return client;
}

async function hashesOf(client: Redis): Promise<Map<string, Record<string, string>>> {
  const names: string[] = [];
  for (let cursor = '0'; ;) {
    const [next, found] = await client.scan(cursor, 'MATCH', 'p*:*', 'COUNT', 1000);
    names.push(...found);
    cursor = next;
    if (cursor === '0') break;
  }
  const hashes: [string, Record<string, string>][] = [];
  for (const name of new Set(names)) hashes.push([name, await client.hgetall(name)]);
  return new Map(hashes.sort(byName));
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

async function changesOf(client: Redis, stream: string): Promise<string[]> {
  const entries = await client.xrange(stream, '-', '+');
  return entries.map(([id, fields]) => {
    const [offset, part] = id.split('-');
    equal(part, '1', `id ${id}`);
    const value = (name: string): string => fields[fields.indexOf(name) + 1] ?? '';
    return `${offset} ${value('key')} ${value('op')}`;
  });
}

async function deadLettersOf(client: Redis, topic: string, partitions: number): Promise<number[][]> {
  const offsets: number[][] = Array.from({ length: partitions }, () => []);
  for (const [, fields] of await client.xrange(DEAD_LETTERS, '-', '+')) {
    const value = (name: string): string => fields[fields.indexOf(name) + 1] ?? '';
    if (value('topic') === topic) offsets[Number(value('partition'))]?.push(Number(value('offset')));
  }
  return offsets;
}
