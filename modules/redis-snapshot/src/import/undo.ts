import { RdbParser } from '../rdb/rdb-parser.ts';
import { unlinkKeys } from './key-scan.ts';
import type { KeyScanOptions } from './key-scan.ts';
import { isModuleKey, isSuiteKey } from './own-keys.ts';
import type { RdbInput } from './rdb-input.ts';

export interface UndoOptions extends KeyScanOptions {
  readonly input: RdbInput;
  /** The last phase that keys were restored in: keys of the suite follow behind all others. */
  readonly phase: 'data' | 'suite';
  /** Nothing of that phase was sent from here on. */
  readonly until: number;
  /** Keys that somebody else wrote meanwhile. */
  readonly spared: readonly Buffer[];
  readonly now: number;
}

const BATCH = 1000;

/** Deletes what an import into an empty Redis had restored, by reading the file once more. Resolves with how many keys went. */
export async function undo(options: UndoOptions): Promise<number> {
  const { input, phase, until, now } = options;
  const spared = new Set(options.spared.map((key) => key.toString('latin1')));
  const parser = new RdbParser({ keepsValues: false });
  let batch: Buffer[] = [];
  let db = 0;
  let count = 0;
  const flush = async (): Promise<void> => {
    await unlinkKeys(options, db, batch);
    count += batch.length;
    batch = [];
  };
  for await (const piece of input.read(0)) {
    parser.push(piece);
    for (let item = parser.next(); item !== 'more' && item !== 'end'; item = parser.next()) {
      const { key, itemOffset, expireAtMs } = parser;
      const isSuite = item === 'key' && isSuiteKey(key);
      const isSent = item === 'key' && (phase === 'data' ? !isSuite : true);
      const isWithin = itemOffset < until || (phase === 'suite' && !isSuite);
      const isGone = expireAtMs !== undefined && expireAtMs <= now;
      parser.clear();
      if (phase === 'data' && itemOffset >= until) {
        await flush();
        return count;
      }
      if (!isSent || !isWithin || isGone || isModuleKey(key) || spared.has(key.toString('latin1'))) continue;
      if (parser.db !== db || batch.length >= BATCH) {
        await flush();
        db = parser.db;
      }
      // The key lies in a piece of the file, which would be kept alive as a whole.
      batch.push(Buffer.from(key));
    }
  }
  await flush();
  return count;
}
