import { SuiteError, classifyRedisError, replyWord } from '@iotedge-redis/common';
import { typeName } from '../rdb/layouts.ts';
import type { ChunkEntry } from './restore-chunk.ts';

/** A key that is there already: `skip` leaves it, `fail` ends the run, `never` cannot happen (REPLACE). */
export type IfThere = 'skip' | 'fail' | 'never';

export interface JudgeOptions {
  readonly ifThere: IfThere;
  /** Entries before this offset may have been sent before: when they are there, they are ours. */
  readonly sentBefore: number;
}

/** What became of the entries of a chunk. */
export interface Verdict {
  readonly restored: number;
  readonly skipped: number;
  /** To be sent again, and why. */
  readonly pending: readonly ChunkEntry[];
  readonly passing: Error | undefined;
  /** Entries whose key somebody else had written. */
  readonly conflicts: readonly ChunkEntry[];
  /** What is wrong for good; the first of several. */
  readonly refused: Error | undefined;
}

/** Reads the reply of each entry, in the order in which they were sent. */
export function judgeReplies(
  sent: readonly ChunkEntry[],
  replies: readonly unknown[],
  { ifThere, sentBefore }: JudgeOptions,
): Verdict {
  const pending: ChunkEntry[] = [];
  const conflicts: ChunkEntry[] = [];
  let restored = 0;
  let skipped = 0;
  let passing: Error | undefined;
  let refused: Error | undefined;
  sent.forEach((entry, index) => {
    const error = replies[index];
    if (!(error instanceof Error)) {
      restored += 1;
      return;
    }
    const word = replyWord(error);
    if (word === 'BUSYKEY') {
      if (entry.offset < sentBefore) restored += 1;
      else if (ifThere === 'skip') skipped += 1;
      else {
        conflicts.push(entry);
        refused ??= new SuiteError(
          'CONFLICT',
          `restoring keys: the key of the entry at byte ${entry.offset} of the RDB was written by somebody else meanwhile`,
        );
      }
    } else if (word === undefined || classifyRedisError(error).retryable) {
      pending.push(entry);
      passing ??= error;
    } else refused ??= refusal(entry, error);
  });
  return { restored, skipped, pending, passing, conflicts, refused };
}

function refusal(entry: ChunkEntry, error: Error): SuiteError {
  const classified = classifyRedisError(error);
  const what = `restoring keys: Redis refused the entry at byte ${entry.offset} of the RDB (${typeName(entry.type)})`;
  // The catch-all word is what a payload gets that is not in order.
  if (replyWord(error) === 'ERR')
    return new SuiteError('DATA_INVALID', `${what}: it does not take the value; the file may be damaged`);
  return new SuiteError(classified.code, `${what}: ${classified.message}`);
}
