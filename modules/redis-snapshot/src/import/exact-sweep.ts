import { FingerprintSet, fingerprint } from '@iotedge-redis/common';
import { RdbParser } from '../rdb/rdb-parser.ts';
import { scanKeys, unlinkKeys } from './key-scan.ts';
import type { KeyScanOptions } from './key-scan.ts';
import { isModuleKey } from './own-keys.ts';
import type { RdbInput } from './rdb-input.ts';

/** 16 MiB of fingerprints at a time; more keys take more passes, not more memory. */
const CAPACITY = 2 * 1024 * 1024;
const PER_PASS = CAPACITY / 2;

export interface SweepOptions extends KeyScanOptions {
  readonly inputs: readonly RdbInput[];
  readonly keys: number;
  /** Databases that hold keys. */
  readonly databases: readonly number[];
  readonly now: number;
  /** Keys per pass; smaller in tests. */
  readonly perPass?: number;
}

/** Deletes what the file does not hold, this module's own keys excepted. Resolves with how many keys went. */
export async function sweep(options: SweepOptions): Promise<number> {
  const passes = Math.max(1, Math.ceil(options.keys / (options.perPass ?? PER_PASS)));
  const held = new FingerprintSet(CAPACITY);
  let deleted = 0;
  for (let pass = 0; pass < passes; pass += 1) {
    held.clear();
    for (const input of options.inputs) await addKeys(input, options.now, { held, pass, passes });
    for (const db of options.databases) {
      for await (const keys of scanKeys(options, db)) {
        const gone = keys.filter((key) => {
          const { high, low } = fingerprintIn(db, key);
          return high % passes === pass && !isModuleKey(key) && held.visit(high, low) === 'absent';
        });
        await unlinkKeys(options, db, gone);
        deleted += gone.length;
      }
    }
  }
  return deleted;
}

async function addKeys(
  input: RdbInput,
  now: number,
  { held, pass, passes }: { held: FingerprintSet; pass: number; passes: number },
): Promise<void> {
  const parser = new RdbParser({ keepsValues: false });
  for await (const piece of input.read(0)) {
    parser.push(piece);
    for (let item = parser.next(); item !== 'more' && item !== 'end'; item = parser.next()) {
      const isGone = parser.expireAtMs !== undefined && parser.expireAtMs <= now;
      if (item === 'key' && !isGone) {
        const { high, low } = fingerprintIn(parser.db, parser.key);
        if (high % passes === pass) held.add(high, low);
      }
      parser.clear();
    }
  }
}

/** The same key in two databases is two keys. */
function fingerprintIn(db: number, key: Buffer): { high: number; low: number } {
  const { high, low } = fingerprint(key);
  return { high: (high ^ Math.imul(db, 0x9e3779b1)) >>> 0, low };
}
