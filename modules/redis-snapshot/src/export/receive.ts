import { createHash } from 'node:crypto';
import { SuiteError } from '@iotedge-redis/common';
import { RdbCheck } from '../rdb/rdb-check.ts';
import type { RdbFacts } from '../rdb/rdb-check.ts';
import { RdbFailure } from '../rdb/rdb-failure.ts';
import type { ForkCost } from './fork-watch.ts';
import type { SpooledFacts } from './spool.ts';
import type { Transfer } from './sync-source.ts';

/** What the file itself tells. */
export type ReceivedFacts = Omit<SpooledFacts, keyof ForkCost>;

/**
 * Takes a file to its end and checks it on the way: structure, checksum, length. `take` gets all pieces, in order; nothing may
 * be made of them before this resolves. DATA_INVALID when the file is not right. Of a file that holds what this module does not know
 * the counts stay open, since no value needs to be understood to be kept.
 */
export async function receive(
  transfer: Transfer,
  take: (pieces: readonly Buffer[]) => Promise<void>,
  from: string,
): Promise<ReceivedFacts> {
  const check = new RdbCheck({ passesUnknown: true });
  const sha256 = createHash('sha256');
  let bytes = 0;
  try {
    for (let pieces = await transfer.read(); pieces !== undefined; pieces = await transfer.read()) {
      for (const piece of pieces) {
        bytes += piece.length;
        sha256.update(piece);
        check.push(piece);
      }
      await take(pieces);
    }
    const facts = check.finish();
    return {
      bytes,
      sha256: sha256.digest('hex'),
      family: facts.family,
      rdbVersion: facts.version,
      isChecksummed: facts.isVerified,
      serverVersion: facts.serverVersion ?? null,
      ...countsOf(facts),
    };
  } catch (error) {
    if (!(error instanceof RdbFailure)) throw error;
    throw new SuiteError('DATA_INVALID', `receiving the snapshot from ${from}: ${error.message}`, {
      cause: error,
      retryable: true,
    });
  }
}

function countsOf(facts: RdbFacts): Pick<SpooledFacts, 'keys' | 'functions' | 'unread'> {
  const { databases, functions, unread } = facts;
  if (unread !== undefined) return { keys: null, functions: null, unread };
  return {
    keys: Object.fromEntries([...databases].map(([db, { keys }]) => [String(db), keys])),
    functions,
  };
}
