import { CommandBuffer, readBulk } from '@iotedge-redis/common';
import type { Row } from './row.ts';

/** Neighbouring plain rows: a stretch of the list's `pairs`. */
export interface PlainRun {
  readonly op: 'run';
  readonly from: number;
  to: number;
  /** Index among the list's plain rows of the first one, and how many there are. */
  readonly first: number;
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
  #lines = new Int32Array(256);
  #plain = 0;
  #run: PlainRun | undefined;

  /** A string without time to live: the key up to `keyEnd`, one delimiter, the value up to `end`; as in RecordFields. */
  addPlain(data: DataView, start: number, keyEnd: number, end: number, line: number): void {
    const { pairs } = this;
    const from = pairs.length;
    pairs.pair(data, start, keyEnd, end);
    if (this.#plain === this.#lines.length) this.#grow();
    this.#lines[this.#plain] = line;
    let run = this.#run;
    if (run === undefined) {
      run = { op: 'run', from, to: from, first: this.#plain, count: 0 };
      this.#run = run;
      this.parts.push(run);
    }
    run.to = pairs.length;
    run.count += 1;
    this.#plain += 1;
    this.length += 1;
    this.commandBytes += run.to - from;
  }

  /** The plain rows when there are no others: `pairs` is what will be sent then. */
  get onlyRun(): PlainRun | undefined {
    const [first] = this.parts;
    return this.parts.length === 1 && first?.op === 'run' ? first : undefined;
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
    this.#plain = 0;
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

  *#rowsOf({ from, first, count }: PlainRun): Iterable<Row> {
    const data = this.pairs.bytes;
    let at = from;
    for (let index = first; index < first + count; index += 1) {
      const key = readBulk(data, at);
      const value = readBulk(data, key.next);
      at = value.next;
      yield {
        op: 'set',
        line: this.#lines[index] ?? 0,
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

  #grow(): void {
    const larger = new Int32Array(this.#lines.length * 2);
    larger.set(this.#lines);
    this.#lines = larger;
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
