import { CommandBuffer, readBulk } from '@iotedge-redis/common';
import type { Row } from './row.ts';

/** Neighbouring plain rows, on one line after the other: a stretch of the list's `pairs`. */
export interface PlainRun {
  readonly op: 'run';
  readonly from: number;
  to: number;
  /** Line of the first one. */
  readonly line: number;
  count: number;
}

/**
 * Good rows in file order. The common row, one that sets a string for good, is kept as the bytes that will be sent: a million
 * small objects would cost more than all the rest of an import. The list keeps nothing of the file's blocks.
 */
export class RowList implements Iterable<Row> {
  /** What the list is made of, in file order. */
  readonly parts: (Row | PlainRun)[] = [];
  /** Keys and values of plain rows in turn, as bulk strings. */
  readonly pairs = new CommandBuffer(0);
  length = 0;
  deletions = 0;
  /** About how many bytes the commands of all rows take. */
  commandBytes = 0;
  #run: PlainRun | undefined;

  /** A string without time to live: the key up to `keyEnd`, one delimiter, the value up to `end`; as in RecordFields. */
  addPlain(data: DataView, start: number, keyEnd: number, end: number, line: number): void {
    const from = this.pairs.length;
    this.pairs.pair(data, start, keyEnd, end);
    this.addPairs(from, 1, line);
  }

  /** Takes over so many rows, from `line` on, which are in `pairs` already, behind `from`. */
  addPairs(from: number, count: number, line: number): void {
    const to = this.pairs.length;
    const run = this.#run;
    if (run !== undefined && run.line + run.count === line) {
      run.to = to;
      run.count += count;
    } else {
      this.#run = { op: 'run', from, to, line, count };
      this.parts.push(this.#run);
    }
    this.length += count;
    this.commandBytes += to - from;
  }

  /** True when there are plain rows alone: `pairs` is what will be sent then. */
  get isPlain(): boolean {
    return this.length > 0 && this.parts.every(({ op }) => op === 'run');
  }

  add(row: Row): void {
    this.#run = undefined;
    this.parts.push(row);
    this.length += 1;
    if (row.op === 'del') this.deletions += 1;
    this.commandBytes += commandBytes(row);
  }

  /** Makes it an empty list again, with the memory it has. */
  clear(): void {
    this.parts.length = 0;
    this.pairs.clear();
    this.length = 0;
    this.deletions = 0;
    this.commandBytes = 0;
    this.#run = undefined;
  }

  *[Symbol.iterator](): Iterator<Row> {
    for (const part of this.parts) {
      if (part.op === 'run') yield* this.#rowsOf(part);
      else yield part;
    }
  }

  /** Those that stand above the line. */
  above(line: number): RowList {
    const rows = new RowList();
    for (const row of this) if (row.line < line) rows.add(row);
    return rows;
  }

  *#rowsOf({ from, line, count }: PlainRun): Iterable<Row> {
    const data = this.pairs.bytes;
    let at = from;
    for (let index = 0; index < count; index += 1) {
      const key = readBulk(data, at);
      const value = readBulk(data, key.next);
      at = value.next;
      yield {
        op: 'set',
        line: line + index,
        data,
        keyStart: key.start,
        keyEnd: key.end,
        valueStart: value.start,
        valueEnd: value.end,
        ttlSeconds: 0,
        fields: undefined,
      };
    }
  }
}

function commandBytes(row: Row): number {
  let bytes = row.keyEnd - row.keyStart + (row.valueEnd - row.valueStart) + 24;
  if (row.ttlSeconds > 0) bytes += 48;
  // A hash names its key in each of up to three commands.
  if (row.op === 'hash') bytes += 2 * (row.keyEnd - row.keyStart) + 64;
  for (const field of row.fields ?? []) bytes += field.length + 10;
  return bytes;
}
