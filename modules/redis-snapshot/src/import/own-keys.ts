import type { RdbParser } from '../rdb/rdb-parser.ts';

/** Keys that modules of the suite keep for themselves begin with this. */
export const SUITE = Buffer.from('iotedge-redis:');
/** Those of this module belong to the site, not to its data. */
const OURS = Buffer.from('iotedge-redis:redis-snapshot:');

/** Whether a key belongs to a module of the suite: positions and checkpoints, which must not be there before the data. */
export function isSuiteKey(key: Buffer): boolean {
  return begins(key, SUITE);
}

/** Whether a key belongs to this module, here or at the site of the snapshot: an import neither brings nor takes it. */
export function isModuleKey(key: Buffer): boolean {
  return begins(key, OURS);
}

/** The same of the entry that a parser stands behind, without an object for its key. */
export function isSuiteEntry(parser: RdbParser): boolean {
  return parser.keyBegins(SUITE);
}

export function isModuleEntry(parser: RdbParser): boolean {
  return parser.keyBegins(OURS);
}

function begins(key: Buffer, prefix: Buffer): boolean {
  return key.length >= prefix.length && key.compare(prefix, 0, prefix.length, 0, prefix.length) === 0;
}
