import { RdbFailure } from './rdb-failure.ts';
import type { RdbCursor } from './rdb-cursor.ts';

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/**
 * Looks at the name of a module's type, without passing it: nine characters of six bits each, and ten bits of version. Undefined
 * when it is not all there yet.
 */
export function moduleTypeName(cursor: RdbCursor): string | undefined {
  const { pos } = cursor;
  if (cursor.left < 9) return undefined;
  // Every name has its first bits set, and so takes the longest form of a length.
  if (cursor.at(pos) !== 0x81) throw new RdbFailure(cursor.offset, 'a module has no name');
  const id = cursor.bytes.readBigUInt64BE(pos + 1);
  let name = '';
  for (let shift = 58n; shift >= 10n; shift -= 6n) name += LETTERS[Number((id >> shift) & 63n)] ?? '';
  return name;
}
