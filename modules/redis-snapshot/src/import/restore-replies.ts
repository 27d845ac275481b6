import { SuiteError, classifyRedisError, replyWord } from '@iotedge-redis/common';
import { typeName } from '../rdb/layouts.ts';
import type { RestoreChunk } from './restore-chunk.ts';

/** A key that is there already: `skip` leaves it, `fail` ends the run, `never` cannot happen (REPLACE). */
export type IfThere = 'skip' | 'fail' | 'never';

export interface JudgeOptions {
  readonly ifThere: IfThere;
  /** Entries before this offset may have been sent before: when they are there, they are ours. */
  readonly sentBefore: number;
}

/** What became of the entries of a chunk that were sent. */
export interface Verdict {
  readonly restored: number;
  readonly skipped: number;
  /** Numbers of the entries to be sent again, and why. */
  readonly pending: readonly number[];
  readonly passing: Error | undefined;
  /** Entries whose key was there. */
  readonly conflicts: readonly number[];
  /** What is wrong for good; the first of several. */
  readonly refused: Error | undefined;
}

/** Reads the error replies, by the place of their entry among those that were `sent`; all others were restored. */
export function judgeReplies(
  chunk: RestoreChunk,
  sent: readonly number[] | undefined,
  errors: ReadonlyMap<number, Error>,
  { ifThere, sentBefore }: JudgeOptions,
): Verdict {
  const pending: number[] = [];
  const conflicts: number[] = [];
  let restored = (sent?.length ?? chunk.size) - errors.size;
  let skipped = 0;
  let passing: Error | undefined;
  let refused: Error | undefined;
  for (const [position, error] of errors) {
    const entry = sent === undefined ? position : (sent[position] ?? 0);
    const word = replyWord(error);
    if (word === 'BUSYKEY') {
      if (chunk.offsetOf(entry) < sentBefore) restored += 1;
      else if (ifThere === 'skip') skipped += 1;
      else {
        conflicts.push(entry);
        refused ??= new SuiteError(
          'CONFLICT',
          `restoring keys: the key of the entry at byte ${chunk.offsetOf(entry)} of the RDB is there already: somebody else wrote it meanwhile, or the file holds it twice`,
        );
      }
    } else if (word === undefined || classifyRedisError(error).retryable) {
      pending.push(entry);
      passing ??= error;
    } else refused ??= refusal(chunk, entry, error);
  }
  return { restored, skipped, pending, passing, conflicts, refused };
}

function refusal(chunk: RestoreChunk, entry: number, error: Error): SuiteError {
  const classified = classifyRedisError(error);
  const what = `restoring keys: Redis refused the entry at byte ${chunk.offsetOf(entry)} of the RDB (${typeName(chunk.typeOf(entry))})`;
  // The catch-all word is what a payload gets that is not in order.
  if (replyWord(error) === 'ERR')
    return new SuiteError('DATA_INVALID', `${what}: it does not take the value; the file may be damaged`);
  return new SuiteError(classified.code, `${what}: ${classified.message}`);
}
