import { SuiteError } from '@iotedge-redis/common';
import { isModuleKey } from './own-keys.ts';
import { scanKeys } from './key-scan.ts';
import type { KeyScanOptions } from './key-scan.ts';

/** More keys than this module keeps for itself anywhere. */
const FEW = 1000;

/** Throws when the databases hold anything but this module's own keys. */
export async function mustBeEmpty(
  options: KeyScanOptions,
  keyspace: ReadonlyMap<number, number>,
): Promise<void> {
  for (const [db, keys] of keyspace) {
    if (keys === 0) continue;
    const others = db === options.homeDb && keys <= FEW ? await countOthers(options, db) : keys;
    if (others > 0) {
      throw new SuiteError(
        'CONFLICT',
        `importing by the policy failIfNotEmpty: database ${db} of Redis holds ${others} keys; empty it, or choose the policy skip, replace or exact`,
      );
    }
  }
}

async function countOthers(options: KeyScanOptions, db: number): Promise<number> {
  let others = 0;
  for await (const keys of scanKeys(options, db)) others += keys.filter((key) => !isModuleKey(key)).length;
  return others;
}
