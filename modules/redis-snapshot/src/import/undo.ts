import { RdbParser } from '../rdb/rdb-parser.ts';
import { unlinkKeys } from './key-scan.ts';
import type { KeyScanOptions } from './key-scan.ts';
import { isModuleEntry, isSuiteEntry } from './own-keys.ts';
import type { RdbInput } from './rdb-input.ts';

export interface UndoOptions extends KeyScanOptions {
  readonly inputs: readonly RdbInput[];
  /** The last phase that keys were restored in: keys of the suite follow behind all others. */
  readonly phase: 'data' | 'suite';
  /** File and offset that nothing of that phase was sent from on. */
  readonly part: number;
  readonly until: number;
  /** Offsets of entries of that file that were not restored, since their keys were there. */
  readonly spared: readonly number[];
  readonly now: number;
}

const BATCH = 1000;

/** Deletes what an import into an empty Redis had restored, by reading the files once more. Resolves with how many keys went. */
export async function undo(options: UndoOptions): Promise<number> {
  let count = 0;
  const last = options.phase === 'suite' ? options.inputs.length - 1 : options.part;
  for (const [index, input] of options.inputs.slice(0, last + 1).entries()) {
    const until = index < options.part ? Infinity : index === options.part ? options.until : 0;
    const spared = new Set(index === options.part ? options.spared : []);
    count += await undoPart(options, input, { until, spared });
  }
  return count;
}

async function undoPart(
  options: UndoOptions,
  input: RdbInput,
  { until, spared }: { readonly until: number; readonly spared: ReadonlySet<number> },
): Promise<number> {
  const { phase, now } = options;
  const parser = new RdbParser({ keepsValues: false });
  let batch: Buffer[] = [];
  let db = 0;
  let count = 0;
  const flush = async (): Promise<void> => {
    await unlinkKeys(options, db, batch);
    count += batch.length;
    batch = [];
  };
  const wasSent = (): boolean => {
    const { itemOffset, expireAtMs } = parser;
    if (isModuleEntry(parser) || (expireAtMs !== undefined && expireAtMs <= now)) return false;
    const isOfPhase = isSuiteEntry(parser) === (phase === 'suite');
    const isSent = isOfPhase ? itemOffset < until : phase === 'suite';
    // By the entry and not by its key: in a damaged file a key may stand twice, and the first one is ours then.
    return isSent && !spared.has(itemOffset);
  };
  for await (const piece of input.read(0)) {
    parser.push(piece);
    for (let item = parser.next(); item !== 'more' && item !== 'end'; item = parser.next()) {
      if (phase === 'data' && parser.itemOffset >= until) {
        await flush();
        return count;
      }
      if (item === 'key' && wasSent()) {
        if (parser.db !== db || batch.length >= BATCH) {
          await flush();
          db = parser.db;
        }
        // The key lies in a piece of the file, which would be kept alive as a whole.
        batch.push(Buffer.from(parser.key));
      }
      parser.clear();
    }
  }
  await flush();
  return count;
}
