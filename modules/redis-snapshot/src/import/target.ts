import { SuiteError, replyWord } from '@iotedge-redis/common';
import type { RedisClient, RedisConnection } from '@iotedge-redis/common';
import { LAST_SHARED_VERSION } from '../rdb/layouts.ts';
import type { Family } from '../rdb/layouts.ts';

/** What has to be known of a Redis before anything is restored into it. */
export interface Target {
  readonly isCluster: boolean;
  /** RDB version that its own DUMP writes: what RESTORE takes at most, and what payloads have to carry. */
  readonly version: number;
  /** `either` up to the version that both families share. */
  readonly family: Family | 'either';
  /** For texts: `redis 7.0.15`. */
  readonly name: string;
  readonly maxBulkBytes: number;
  /** Zero when there is no limit. */
  readonly maxMemory: number;
  readonly usedMemory: number;
  readonly databases: number;
  readonly hasModules: boolean;
  /** Keys by database. */
  readonly keyspace: ReadonlyMap<number, number>;
}

const DEFAULT_BULK_BYTES = 512 * 1024 * 1024;
const DEFAULT_DATABASES = 16;
const PROBE_MS = 60_000;
/** Of a DUMP payload, from its end: two bytes of version and eight of checksum. */
const FOOTER = 10;

/** Asks the server. The version is learnt from a DUMP of a key of our own, since no command says it. */
export async function learnTarget(
  connection: RedisConnection,
  prefix: string,
  isCluster: boolean,
): Promise<Target> {
  const doing = 'learning what Redis accepts';
  const key = `${prefix}probe`;
  const dump = await connection.run(doing, async (client) => {
    await client.set(key, 'probe', 'PX', PROBE_MS);
    const payload = await client.dumpBuffer(key);
    await client.unlink(key);
    return payload;
  });
  if (dump.length < FOOTER)
    throw new SuiteError('REDIS_ERROR', `${doing}: DUMP gave no payload`, { retryable: true });
  const version = dump.readUInt16LE(dump.length - FOOTER);
  const [bulk, databases, info, modules] = await connection.run(doing, (client) =>
    Promise.all([
      configured(client, 'proto-max-bulk-len'),
      configured(client, 'databases'),
      client.info().catch(hidden),
      client.call('MODULE', 'LIST').catch(hidden),
    ]),
  );
  const text = typeof info === 'string' ? info : '';
  const { product = 'redis', version: serverVersion = '' } = connection.facts ?? {};
  return {
    isCluster,
    version,
    family: version <= LAST_SHARED_VERSION ? 'either' : version >= 80 ? 'valkey' : 'redis',
    name: `${product} ${serverVersion}`.trim(),
    maxBulkBytes: bulk ?? DEFAULT_BULK_BYTES,
    maxMemory: number(text, 'maxmemory'),
    usedMemory: number(text, 'used_memory'),
    databases: isCluster ? 1 : (databases ?? DEFAULT_DATABASES),
    hasModules: Array.isArray(modules) && modules.length > 0,
    keyspace: await countKeys(connection, isCluster, text),
  };
}

/** Keys by database now. */
export async function keyspaceOf(
  connection: RedisConnection,
  isCluster: boolean,
): Promise<ReadonlyMap<number, number>> {
  const text = await connection.run('counting the keys of Redis', (client) => client.info('keyspace'));
  return countKeys(connection, isCluster, text);
}

async function countKeys(
  connection: RedisConnection,
  isCluster: boolean,
  info: string,
): Promise<ReadonlyMap<number, number>> {
  if (isCluster) {
    const sizes = await connection.run('counting the keys of Redis', (client) =>
      Promise.all('nodes' in client ? client.nodes('master').map((node) => node.dbsize()) : []),
    );
    return new Map([[0, sizes.reduce((sum, size) => sum + size, 0)]]);
  }
  return new Map(
    [...info.matchAll(/^db(\d+):keys=(\d+)/gm)].map((match) => [Number(match[1]), Number(match[2])] as const),
  );
}

/** A setting of the server, or undefined where the ACL or a provider hides it. */
async function configured(client: RedisClient, name: string): Promise<number | undefined> {
  try {
    const answer: unknown = await client.config('GET', name);
    const value = Array.isArray(answer) ? Number(answer[1]) : Number.NaN;
    return Number.isSafeInteger(value) ? value : undefined;
  } catch (error) {
    hidden(error);
    return undefined;
  }
}

/** What the ACL refuses is not known; everything else is a failure. */
function hidden(error: unknown): void {
  if (replyWord(error) === undefined) throw error;
}

function number(info: string, name: string): number {
  return Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
}
