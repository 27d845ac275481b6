import type { Row } from './row.ts';

/** Numbers per plain row: start and end of the key, end of the value, line. The value begins one byte behind the key. */
export const PLAIN_NUMBERS = 4;

/** Neighbouring plain rows of one block, as a stretch of the list's `bounds`. */
export interface PlainRun {
  readonly op: 'run';
  readonly data: Buffer;
  readonly from: number;
  to: number;
}

/**
 * Good rows in file order. The common row, one that sets a string for good, is four numbers; the others are objects: a
 * million small objects would cost more than all the rest of an import.
 */
export class RowList implements Iterable<Row> {
  /** What the list is made of, in file order. */
  readonly parts: (Row | PlainRun)[] = [];
  bounds: Int32Array;
  length = 0;
  deletions = 0;
  /** About how many bytes the commands of all rows take. */
  commandBytes = 0;
  #used = 0;
  #run: PlainRun | undefined;

  constructor(expectedRows = 16) {
    this.bounds = new Int32Array(expectedRows * PLAIN_NUMBERS);
  }

  /** A string without time to live: the key up to `keyEnd`, one delimiter, the value up to `end`. */
  addPlain(data: Buffer, start: number, keyEnd: number, end: number, line: number): void {
    if (this.#used === this.bounds.length) this.#grow();
    const { bounds } = this;
    let at = this.#used;
    bounds[at++] = start;
    bounds[at++] = keyEnd;
    bounds[at++] = end;
    bounds[at++] = line;
    this.length += 1;
    this.commandBytes += end - start + PLAIN_OVERHEAD;
    if (this.#run?.data === data) this.#run.to = at;
    else {
      this.#run = { op: 'run', data, from: this.#used, to: at };
      this.parts.push(this.#run);
    }
    this.#used = at;
  }

  add(row: Row): void {
    this.#run = undefined;
    this.parts.push(row);
    this.length += 1;
    if (row.op === 'del') this.deletions += 1;
    this.commandBytes += commandBytes(row);
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

  *#rowsOf({ data, from, to }: PlainRun): Iterable<Row> {
    for (let at = from; at < to; at += PLAIN_NUMBERS) {
      const [start = 0, keyEnd = 0, end = 0, line = 0] = this.bounds.subarray(at, at + PLAIN_NUMBERS);
      yield {
        op: 'set',
        line,
        data,
        keyStart: start,
        keyEnd,
        valueStart: keyEnd + 1,
        valueEnd: end,
        ttlSeconds: 0,
        fields: undefined,
      };
    }
  }

  #grow(): void {
    const larger = new Int32Array(Math.max(this.bounds.length * 2, 16 * PLAIN_NUMBERS));
    larger.set(this.bounds);
    this.bounds = larger;
  }
}

/** Two lengths with their marks and line ends. */
const PLAIN_OVERHEAD = 24;

function commandBytes(row: Row): number {
  let bytes = row.keyEnd - row.keyStart + (row.valueEnd - row.valueStart) + PLAIN_OVERHEAD;
  if (row.ttlSeconds > 0) bytes += 48;
  // A hash names its key in each of up to three commands.
  if (row.op === 'hash') bytes += 2 * (row.keyEnd - row.keyStart) + 64;
  for (const field of row.fields ?? []) bytes += field.length + 10;
  return bytes;
}
