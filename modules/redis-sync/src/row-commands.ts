import type { CommandBuffer } from '@iotedge-redis/common';
import type { Row } from './row.ts';

/** About how many bytes the commands of the rows take. */
export function estimateBytes(rows: readonly Row[]): number {
  let bytes = 0;
  for (const row of rows) {
    bytes += row.keyEnd - row.keyStart + (row.valueEnd - row.valueStart) + 24;
    if (row.ttlSeconds > 0) bytes += 48;
    for (const field of row.fields ?? []) bytes += field.length + 10;
  }
  return bytes;
}

/** Rows in file order, as few commands as they fit into: neighbouring plain rows become one MSET, deletions one DEL. */
export function writeRows(out: CommandBuffer, rows: readonly Row[], startedAt: number): void {
  for (let at = 0; at < rows.length;) {
    const kind = kindOf(rows[at]);
    let end = at + 1;
    if (kind === 'mset' || kind === 'del') while (end < rows.length && kindOf(rows[end]) === kind) end += 1;
    if (kind === 'mset') writeMany(out, rows, at, end, 'MSET');
    else if (kind === 'del') writeMany(out, rows, at, end, 'DEL');
    else writeRow(out, rows[at], startedAt);
    at = end;
  }
}

/** One row by itself. */
export function writeRow(out: CommandBuffer, row: Row | undefined, startedAt: number): void {
  if (row === undefined) return;
  // PXAT from the run's start: a resumed run gives a row the same end as the first one did.
  const endsAt = startedAt + row.ttlSeconds * 1000;
  if (row.op === 'del') {
    writeMany(out, [row], 0, 1, 'DEL');
    return;
  }
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
  const fields = row.fields ?? [];
  writeMany(out, [row], 0, 1, 'DEL');
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

function kindOf(row: Row | undefined): 'mset' | 'del' | 'other' {
  if (row === undefined || row.op === 'hash') return 'other';
  if (row.op === 'del') return 'del';
  return row.ttlSeconds === 0 ? 'mset' : 'other';
}

const MSET = Buffer.from('MSET');
const DEL = Buffer.from('DEL');

function writeMany(
  out: CommandBuffer,
  rows: readonly Row[],
  from: number,
  to: number,
  name: 'MSET' | 'DEL',
): void {
  const isSet = name === 'MSET';
  out.begin(1 + (to - from) * (isSet ? 2 : 1));
  out.buffer(isSet ? MSET : DEL);
  for (let at = from; at < to; at += 1) {
    const row = rows[at];
    if (row === undefined) continue;
    key(out, row);
    if (isSet) out.slice(row.data, row.valueStart, row.valueEnd);
  }
}

function key(out: CommandBuffer, row: Row): void {
  out.slice(row.data, row.keyStart, row.keyEnd);
}
