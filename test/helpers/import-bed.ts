import { createLog, RedisConnection, systemClock } from '@iotedge-redis/common';
import type { JsonObject, RedisTarget } from '@iotedge-redis/common';
import { Patience } from '@iotedge-redis/common/blob';
import type { Waiting } from '@iotedge-redis/common/blob';
import { Redis } from 'ioredis';
import { runImport } from '../../modules/redis-snapshot/src/import/import-run.ts';
import type { ImportOptions } from '../../modules/redis-snapshot/src/import/import-options.ts';
import { keepInput } from '../../modules/redis-snapshot/src/import/kept-input.ts';
import { createFileInput } from '../../modules/redis-snapshot/src/import/rdb-input.ts';
import type { ImportPolicy } from '../../modules/redis-snapshot/src/settings.ts';

export interface ImportFileOptions extends Partial<Pick<ImportOptions, 'runId' | 'staging' | 'signal'>> {
  readonly policy?: ImportPolicy;
  readonly isCluster?: boolean;
  readonly giveUpAfterMs?: number;
  readonly onProgress?: (fields: JsonObject) => void;
  readonly onWaiting?: (waiting: Waiting | undefined) => void;
}

const quiet = createLog({ level: 'fatal' });

/** Imports one or several files of this machine into a Redis on loopback, over a connection of its own. */
export async function importFile(
  port: number,
  files: string | readonly string[],
  options: ImportFileOptions = {},
): Promise<JsonObject> {
  const { policy = 'failIfNotEmpty', isCluster = false, onWaiting = () => undefined } = options;
  const target: RedisTarget = {
    mode: isCluster ? 'cluster' : 'standalone',
    place: { host: '127.0.0.1', port },
    db: 0,
    connectTimeoutMs: 5000,
    commandTimeoutMs: 10_000,
    sentinels: [],
    sentinelMaster: 'mymaster',
  };
  const connection = new RedisConnection({ target, name: 'import', log: quiet });
  const signal = options.signal ?? new AbortController().signal;
  const inputs = await Promise.all(
    [files].flat().map(async (file) => keepInput(await createFileInput(file), `${file}.import`, quiet)),
  );
  try {
    await connection.connect();
    return await runImport({
      runId: options.runId ?? 'a-run',
      inputs,
      policy,
      staging: options.staging ?? 'auto',
      connection,
      redis: target,
      homeDb: 0,
      isCluster,
      prefix: 'iotedge-redis:redis-snapshot:test:',
      patience: new Patience({
        signal,
        clock: systemClock,
        maxPauseMs: 200,
        ...(options.giveUpAfterMs === undefined ? {} : { giveUpAfterMs: options.giveUpAfterMs }),
        onWaiting,
      }),
      signal,
      clock: systemClock,
      log: quiet,
      plans: [],
      keepPlans: () => Promise.resolve(),
      progress: (fields) => options.onProgress?.(fields),
    });
  } finally {
    await connection.close(AbortSignal.timeout(500));
    for (const input of inputs) await input.close();
  }
}

/** Runs some commands against a Redis on loopback. */
export async function withRedis<T>(port: number, use: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(port, '127.0.0.1', { lazyConnect: true, retryStrategy: null });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await use(client);
  } finally {
    client.disconnect();
  }
}

/** Writes the RDB file of a server and tells where it is. */
export async function saveRdb(redis: { readonly port: number; readonly dir: string }): Promise<string> {
  await withRedis(redis.port, (client) => client.save());
  return `${redis.dir}/dump.rdb`;
}

/** Numbers of keys by database, this module's own left out. */
export async function keyCounts(port: number): Promise<Readonly<Record<string, number>>> {
  return withRedis(port, async (client) => {
    // Both of the same moment: the module's own keys come and go.
    const replies = await client.multi().info('keyspace').keys('iotedge-redis:redis-snapshot:*').exec();
    const [info, keys] = (replies ?? []).map(([, reply]) => reply);
    const own = Array.isArray(keys) ? keys.length : 0;
    const counts = [...String(info).matchAll(/^db(\d+):keys=(\d+)/gm)].map(
      ([, db = '', count]) => [db, Number(count) - (db === '0' ? own : 0)] as const,
    );
    return Object.fromEntries(counts.filter(([, count]) => count > 0));
  });
}
