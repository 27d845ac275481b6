import type { CommandBuffer } from '@iotedge-redis/common';
import type { Row } from './row.ts';
import type { PlainRun, RowList } from './row-list.ts';

/** Rows in file order, as few commands as they fit into: neighbouring plain rows become one MSET, deletions one DEL. */
export function writeRows(out: CommandBuffer, rows: RowList, startedAt: number): void {
  const { parts } = rows;
  for (let at = 0; at < parts.length;) {
    const kind = kindOf(parts[at]);
    let end = at + 1;
    if (kind !== 'other') while (end < parts.length && kindOf(parts[end]) === kind) end += 1;
    if (kind === 'other') writeRow(out, parts[at], startedAt);
    else writeMany(out, rows, at, end, kind);
    at = end;
  }
}

/** One row by itself. */
export function writeRow(out: CommandBuffer, row: Row | PlainRun | undefined, startedAt: number): void {
  if (row === undefined || row.op === 'run') return;
  // PXAT from the run's start: a resumed run gives a row the same end as the first one did.
  const endsAt = startedAt + row.ttlSeconds * 1000;
  if (row.op === 'set') {
    out.begin(row.ttlSeconds > 0 ? 5 : 3);
    out.text('SET');
    key(out, row);
    out.slice(row.data, row.valueStart, row.valueEnd);
    if (row.ttlSeconds > 0) {
      out.text('PXAT');
      out.number(endsAt);
    }
    return;
  }
  out.begin(2);
  out.text('DEL');
  key(out, row);
  if (row.op === 'del') return;
  const fields = row.fields ?? [];
  out.begin(2 + fields.length);
  out.text('HSET');
  key(out, row);
  for (const field of fields) out.buffer(field);
  if (row.ttlSeconds > 0) {
    out.begin(3);
    out.text('PEXPIREAT');
    key(out, row);
    out.number(endsAt);
  }
}

/** One command for so many rows, whose keys, and values for MSET, follow. */
export function beginMany(out: CommandBuffer, kind: 'MSET' | 'DEL', rows: number): void {
  out.begin(1 + rows * (kind === 'MSET' ? 2 : 1));
  out.text(kind);
}

type Kind = 'MSET' | 'DEL' | 'other';

function kindOf(part: Row | PlainRun | undefined): Kind {
  switch (part?.op) {
    case 'run':
      return 'MSET';
    case 'del':
      return 'DEL';
    case 'set':
      return part.ttlSeconds === 0 ? 'MSET' : 'other';
    default:
      return 'other';
  }
}

function writeMany(out: CommandBuffer, rows: RowList, from: number, to: number, kind: 'MSET' | 'DEL'): void {
  const isSet = kind === 'MSET';
  let count = 0;
  for (let at = from; at < to; at += 1) count += rowsIn(rows.parts[at]);
  beginMany(out, kind, count);
  const pairs = rows.pairs.bytes;
  for (let at = from; at < to; at += 1) {
    const part = rows.parts[at];
    if (part === undefined) continue;
    if (part.op === 'run') out.append(pairs, part.from, part.to);
    else {
      key(out, part);
      if (isSet) out.slice(part.data, part.valueStart, part.valueEnd);
    }
  }
}

function rowsIn(part: Row | PlainRun | undefined): number {
  return part?.op === 'run' ? part.count : 1;
}

function key(out: CommandBuffer, row: Row): void {
  out.slice(row.data, row.keyStart, row.keyEnd);
}
