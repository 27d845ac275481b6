import { callScript, defineScript } from '@iotedge-redis/common';
import type { RedisConnection } from '@iotedge-redis/common';
import { SuiteError } from '@iotedge-redis/common';
import type { TopicPartition } from '../record.ts';

const PREFIX = 'iotedge-redis:kafka-ingest';
/** Version of what a position's key holds; one written by a later version of the module is not touched. */
const FORMAT = 1;

/** Where Redis stands in a partition. Absent before the first record, and after Redis was wiped. */
export interface Position {
  /** First offset that was not applied. */
  readonly next: number;
  /** Timestamp of the record before it; undefined when it is not known. */
  readonly timestamp: string | undefined;
}

/** Names of the keys that belong to a partition. */
export interface PartitionKeys {
  readonly position: string;
  readonly changes: string;
}

/** `{group}` is a hash tag: braces and all. */
export function positionKey(group: string, clusterId: string, { topic, partition }: TopicPartition): string {
  return `${PREFIX}:{${group}}:${clusterId}:${topic}:${partition}`;
}

export function changesKey({ topic, partition }: TopicPartition): string {
  return `changes:${topic}:${partition}`;
}

/** Holds the id of the cluster that the group last read the partition from. */
export function clusterKey(group: string, { topic, partition }: TopicPartition): string {
  return `${PREFIX}:{${group}}:cluster:${topic}:${partition}`;
}

/**
 * KEYS: position, change stream. ARGV: the position that must be found ('' for none), the new one, the format. A change stream
 * whose ids the new position would repeat, so that no entry could be added, begins anew. The position moves last, as in the apply
 * script. Answers {1, whether the stream begins anew} or {0, position}.
 */
const MOVE = defineScript(`
local stored = redis.call('HGET', KEYS[1], 'next') or ''
if stored ~= ARGV[1] then return {0, stored} end
redis.call('HSET', KEYS[1], 'format', ARGV[3])
local newest = redis.call('TYPE', KEYS[2]).ok == 'stream' and redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
local isBehind = newest and tonumber(string.match(newest[1], '^%d+')) >= tonumber(ARGV[2])
if isBehind then redis.call('DEL', KEYS[2]) end
redis.call('HSET', KEYS[1], 'next', ARGV[2], 'ts', '')
return {1, isBehind and 1 or 0}
`);

/** The positions of a group in Redis, where they are the truth. */
export class Positions {
  readonly #connection: RedisConnection;
  readonly #group: string;

  constructor(connection: RedisConnection, group: string) {
    this.#connection = connection;
    this.#group = group;
  }

  async read(key: string): Promise<Position | undefined> {
    const values = await this.#connection.run('reading a position', (client) =>
      client.hmget(key, 'next', 'ts', 'format'),
    );
    const [next, timestamp, format] = values;
    if (next === null || next === undefined) return undefined;
    if (Number(format ?? FORMAT) > FORMAT)
      throw new SuiteError(
        'CONFLICT',
        `reading a position at ${this.#connection.place}: it was written by a later version of kafka-ingest; run that version`,
      );
    if (!/^\d{1,16}$/.test(next))
      throw new SuiteError(
        'DATA_INVALID',
        `reading a position: the key ${key} holds no offset; delete it to begin anew`,
      );
    return { next: Number(next), timestamp: timestamp === '' || timestamp === null ? undefined : timestamp };
  }

  /** Sets a position unless somebody else has moved it; says whether the change stream had to begin anew, or nothing when it was not set. */
  async move(
    keys: PartitionKeys,
    from: number | undefined,
    to: number,
  ): Promise<{ readonly changesRestarted: boolean } | undefined> {
    const answer = await this.#connection.run('setting a position', (client) =>
      callScript(
        client,
        MOVE,
        [keys.position, keys.changes],
        [from === undefined ? '' : String(from), to, FORMAT],
      ),
    );
    const [isDone, restarted] = Array.isArray(answer) ? (answer as readonly unknown[]) : [];
    return isDone === 1 ? { changesRestarted: restarted === 1 } : undefined;
  }

  /** The cluster that the partition was read from before. */
  async clusterOf(place: TopicPartition): Promise<string | undefined> {
    const key = clusterKey(this.#group, place);
    const id = await this.#connection.run('reading the cluster of a topic', (client) => client.get(key));
    return id ?? undefined;
  }

  async noteCluster(place: TopicPartition, clusterId: string): Promise<void> {
    const key = clusterKey(this.#group, place);
    await this.#connection.run('noting the cluster of a topic', (client) => client.set(key, clusterId));
  }
}
