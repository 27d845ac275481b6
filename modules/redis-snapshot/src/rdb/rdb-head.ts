import type { Family } from './layouts.ts';
import type { RdbCursor } from './rdb-cursor.ts';
import { RdbFailure } from './rdb-failure.ts';

const HEAD = /^(?:(REDIS)(\d{4})|(VALKEY)(\d{3}))$/;
const HEAD_BYTES = 9;
const MIN_VERSION = 1;

/** What a file begins with; undefined when it is not all there yet. */
export function readHead(
  cursor: RdbCursor,
): { readonly family: Family; readonly version: number } | undefined {
  if (cursor.left < HEAD_BYTES) return undefined;
  const match = HEAD.exec(cursor.bytes.toString('latin1', 0, HEAD_BYTES));
  if (match === null) throw new RdbFailure(0, 'the file does not begin with REDIS or VALKEY and a version');
  const version = Number(match[2] ?? match[4]);
  if (version < MIN_VERSION) throw new RdbFailure(0, `there is no RDB version ${version}`);
  cursor.pass(HEAD_BYTES);
  return { family: match[3] === undefined ? 'redis' : 'valkey', version };
}
