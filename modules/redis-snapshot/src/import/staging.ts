import { SuiteError, replyWord } from '@iotedge-redis/common';
import type { RedisConnection } from '@iotedge-redis/common';
import type { Patience } from '@iotedge-redis/common/blob';
import type { ImportOptions } from './import-options.ts';
import type { Totals } from './import-plan.ts';
import { inDatabase, scanKeys } from './key-scan.ts';
import type { KeyScanOptions } from './key-scan.ts';
import { isModuleKey } from './own-keys.ts';
import { refuseForMemory } from './refusals.ts';
import type { Target } from './target.ts';

export type Spares = readonly (readonly [db: number, spare: number])[];

/**
 * An empty spare database for each database of the file, from the last one down. Undefined when there are not enough, or the server
 * cannot swap databases.
 */
async function findSpares(
  connection: RedisConnection,
  databases: Iterable<number>,
  target: Target,
  homeDb: number,
): Promise<Spares | undefined> {
  const wanted = [...databases];
  if (target.isCluster || wanted.length === 0) return undefined;
  const free: number[] = [];
  for (let db = target.databases - 1; db >= 0 && free.length < wanted.length; db -= 1) {
    if (db !== homeDb && !wanted.includes(db) && (target.keyspace.get(db) ?? 0) === 0) free.push(db);
  }
  if (free.length < wanted.length) return undefined;
  const spares = wanted.map((db, index) => [db, free[index] ?? 0] as const);
  return (await maySwap(connection, free[0] ?? 0)) ? spares : undefined;
}

/** The spare databases that the policy and the memory allow; none when the keys go in place. */
export async function chooseSpares(
  options: Pick<ImportOptions, 'policy' | 'staging' | 'connection' | 'homeDb'>,
  totals: Totals,
  target: Target,
): Promise<Spares> {
  const { policy, staging, connection, homeDb } = options;
  const isPossible = policy === 'exact' || policy === 'failIfNotEmpty';
  if (staging === 'never' || !isPossible || (staging === 'auto' && policy !== 'exact')) return [];
  const spares = await findSpares(connection, totals.databases.keys(), target, homeDb);
  if (spares === undefined || staging === 'always') return spares ?? [];
  try {
    refuseForMemory(totals, target, true);
    return spares;
  } catch (error) {
    // Both together do not fit; what is there makes room as it is replaced.
    if (error instanceof SuiteError && error.code === 'REDIS_OOM') return [];
    throw error;
  }
}

/** Swapping a database with itself changes nothing, and tells whether the command is there and permitted. */
async function maySwap(connection: RedisConnection, db: number): Promise<boolean> {
  try {
    await connection.run('trying SWAPDB', (client) => client.call('SWAPDB', db, db));
    return true;
  } catch (error) {
    if (error instanceof SuiteError && !error.retryable) return false;
    throw error;
  }
}

export interface SwapOptions extends KeyScanOptions {
  readonly spares: Spares;
  /** Databases whose keys go although the snapshot does not know them. */
  readonly others: readonly number[];
  readonly checkpointKey: string;
  readonly checkpoint: string;
}

/**
 * Exchanges all databases in one step, and leaves the checkpoint of the step after in the new one. This module's own keys stay in the
 * database where they are looked for.
 */
export async function swap(options: SwapOptions): Promise<void> {
  const { connection, patience, spares, others, homeDb, checkpointKey, checkpoint } = options;
  const own: Buffer[] = [];
  const isHomeSwapped = spares.some(([db]) => db === homeDb);
  if (isHomeSwapped)
    for await (const keys of scanKeys(options, homeDb)) own.push(...keys.filter((key) => isModuleKey(key)));
  await patience.until(() =>
    connection.run('swapping the databases', async (client) => {
      if ('nodes' in client) return;
      // A repeat after a lost answer must not swap back.
      if ((await client.get(checkpointKey)) === checkpoint) return;
      const step = client.multi();
      for (const [db, spare] of spares) {
        if (db === homeDb) for (const key of own) step.call('COPY', key, key, 'DB', spare, 'REPLACE');
        step.call('SWAPDB', db, spare);
      }
      step.set(checkpointKey, checkpoint);
      const results = await step.exec();
      for (const [error] of results ?? []) if (error !== null) throw error;
    }),
  );
  for (const db of [...spares.map(([, spare]) => spare), ...others]) await flushDatabase(options, db);
}

/** Empties a database. */
export async function flushDatabase(
  options: { readonly connection: RedisConnection; readonly patience: Patience; readonly homeDb: number },
  db: number,
): Promise<void> {
  await options.patience.until(async () => {
    await inDatabase(options, db, 'emptying a spare database', async (client) => {
      try {
        await client.call('FLUSHDB', 'ASYNC');
      } catch (error) {
        if (replyWord(error) === undefined) throw error;
        await client.flushdb();
      }
    });
  });
}
