import { SuiteError } from '@iotedge-redis/common';
import type { RedisClient, RedisConnection } from '@iotedge-redis/common';
import type { Patience } from '@iotedge-redis/common/blob';

export interface KeyScanOptions {
  readonly connection: RedisConnection;
  readonly patience: Patience;
  /** Database to go back to. */
  readonly homeDb: number;
  readonly signal: AbortSignal;
}

const SCAN_COUNT = 1000;

/** All keys of a database, or of all nodes of a cluster, in batches; a key may come twice. */
export async function* scanKeys(options: KeyScanOptions, db: number): AsyncGenerator<Buffer[]> {
  const { connection, patience } = options;
  const nodes = await patience.until(() =>
    connection.run('looking for keys', (client) => Promise.resolve(nodeCount(client))),
  );
  for (let node = 0; node < nodes; node += 1) {
    let cursor = '0';
    do {
      const [next, keys] = await patience.until(() =>
        inDatabase(options, db, 'looking for keys', (client) =>
          nodeOf(client, node).scanBuffer(cursor, 'COUNT', SCAN_COUNT),
        ),
      );
      cursor = String(next);
      if (keys.length > 0) yield keys;
    } while (cursor !== '0');
  }
}

/** Deletes keys of a database. */
export async function unlinkKeys(
  options: KeyScanOptions,
  db: number,
  keys: readonly Buffer[],
): Promise<void> {
  if (keys.length === 0) return;
  await options.patience.until(() =>
    inDatabase(options, db, 'deleting keys', async (client) => {
      if ('nodes' in client) await Promise.all(keys.map((key) => client.unlink(key)));
      else await client.unlink(...keys);
    }),
  );
}

/** Runs one call in another database: the commands go out back to back, so that nothing gets between them. */
export async function inDatabase<T>(
  { connection, homeDb }: Pick<KeyScanOptions, 'connection' | 'homeDb'>,
  db: number,
  doing: string,
  call: (client: RedisClient) => Promise<T>,
): Promise<T> {
  return connection.run(doing, async (client) => {
    if ('nodes' in client) return call(client);
    const there = client.select(db);
    const result = call(client);
    const back = client.select(homeDb);
    // All have to be awaited, whichever fails first.
    const [first, outcome] = await Promise.allSettled([there, result, back]);
    if (first.status === 'rejected') throw first.reason;
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}

function nodeCount(client: RedisClient): number {
  return 'nodes' in client ? client.nodes('master').length : 1;
}

function nodeOf(client: RedisClient, index: number): Exclude<RedisClient, { nodes: unknown }> {
  if (!('nodes' in client)) return client;
  const node = client.nodes('master')[index];
  if (node === undefined)
    throw new SuiteError('REDIS_CLUSTER_DOWN', 'looking for keys: a node of the cluster is gone', {
      retryable: true,
    });
  return node;
}
