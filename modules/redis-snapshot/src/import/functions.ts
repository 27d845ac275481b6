import { SuiteError, replyWord } from '@iotedge-redis/common';
import type { RedisClient, RedisConnection } from '@iotedge-redis/common';
import type { Patience } from '@iotedge-redis/common/blob';
import type { ImportPolicy } from '../settings.ts';
import { RdbParser } from '../rdb/rdb-parser.ts';
import type { ImportPart, Totals } from './import-plan.ts';
import { functionPayload } from './restore-chunk.ts';

/** RDB version of the first server that has them. */
export const FUNCTIONS_VERSION = 10;

export interface FunctionsOptions {
  readonly connection: RedisConnection;
  readonly patience: Patience;
  readonly parts: readonly ImportPart[];
  readonly targetVersion: number;
  readonly policy: ImportPolicy;
}

/** Loads the function libraries of the file. May be repeated. Resolves with how many were there already and stayed. */
export async function restoreFunctions(options: FunctionsOptions): Promise<number> {
  if (options.policy === 'exact' && options.targetVersion >= FUNCTIONS_VERSION) await flush(options);
  let kept = 0;
  // The primaries of a cluster all have the same ones.
  for (const part of options.parts) kept += await restorePart(options, part);
  return kept;
}

async function restorePart(options: FunctionsOptions, { input, plan }: ImportPart): Promise<number> {
  const { targetVersion } = options;
  let kept = 0;
  let left = plan.functions;
  if (left === 0) return kept;
  const parser = new RdbParser({ keepsValues: true });
  for await (const piece of input.read(0)) {
    parser.push(piece);
    for (let item = parser.next(); item !== 'more' && item !== 'end'; item = parser.next()) {
      if (item === 'function') {
        const isKept = await restore(options, functionPayload(parser.payload(), targetVersion));
        if (isKept) kept += 1;
        left -= 1;
      }
      parser.clear();
      if (left === 0) return kept;
    }
  }
  return kept;
}

/** Throws unless there is none. */
export async function mustHaveNoFunctions(connection: RedisConnection, totals: Totals): Promise<void> {
  if (totals.functions === 0) return;
  const found = await connection.run('listing functions', (client) => client.call('FUNCTION', 'LIST'));
  if (!Array.isArray(found) || found.length === 0) return;
  throw new SuiteError(
    'CONFLICT',
    `importing by the policy failIfNotEmpty: Redis holds ${found.length} function libraries; delete them, or choose the policy skip, replace or exact`,
  );
}

/** Takes all libraries away: for an import into a server that had none. */
export async function flush({
  connection,
  patience,
}: Pick<FunctionsOptions, 'connection' | 'patience'>): Promise<void> {
  await patience.until(() =>
    connection.run('deleting functions', (client) =>
      onEach(client, (node) => node.call('FUNCTION', 'FLUSH')),
    ),
  );
}

async function restore(
  { connection, patience, policy }: FunctionsOptions,
  payload: Buffer,
): Promise<boolean> {
  const how = policy === 'skip' ? 'APPEND' : 'REPLACE';
  try {
    await patience.until(() =>
      connection.run('restoring functions', (client) =>
        onEach(client, (node) => node.call('FUNCTION', ['RESTORE', payload, how])),
      ),
    );
    return false;
  } catch (error) {
    const isRefused =
      error instanceof SuiteError && error.code === 'REDIS_ERROR' && replyWordOf(error) === 'ERR';
    // APPEND has no other answer for a library that is there already.
    if (isRefused && policy === 'skip') return true;
    throw error;
  }
}

function replyWordOf(error: SuiteError): string | undefined {
  return replyWord(error.cause) ?? (error.cause instanceof Error ? error.cause.message : undefined);
}

async function onEach(
  client: RedisClient,
  call: (node: Exclude<RedisClient, { nodes: unknown }>) => Promise<unknown>,
): Promise<void> {
  await Promise.all(('nodes' in client ? client.nodes('master') : [client]).map(call));
}
