import type { RowList } from '../rows/row-list.ts';
import type { RecordFields } from './record-fields.ts';

const QUOTE = 0x22;
const LF = 0x0a;
const CR = 0x0d;

export interface PairLimits {
  readonly rows: number;
  readonly bytes: number;
}

/**
 * The short way through the commonest rows: key, delimiter, value, line end, and no quote that means something. It knows no
 * other record and judges none: it stops before it, at a record's first byte, and leaves it to `RecordScanner`.
 */
export class PairScan {
  /** After `take`: the first byte that it did not take, and how many rows, each of one line, it took. */
  position = 0;
  rows = 0;
  readonly #delimiter: number;
  readonly #maxRecordBytes: number;
  /** Not 0 for each byte that ends a key, or a value: one look-up per byte instead of up to four comparisons. */
  readonly #keyEnds = new Uint8Array(256);
  readonly #valueEnds = new Uint8Array(256);

  constructor(delimiter: number, isPair: boolean, maxRecordBytes: number) {
    this.#delimiter = delimiter;
    this.#maxRecordBytes = maxRecordBytes;
    for (const byte of [delimiter, LF, CR]) this.#keyEnds[byte] = 1;
    for (const byte of [LF, CR]) this.#valueEnds[byte] = 1;
    if (isPair) return;
    this.#keyEnds[QUOTE] = 1;
    this.#valueEnds[QUOTE] = 1;
    this.#valueEnds[delimiter] = 1;
  }

  /** Takes rows from whole lines of valid UTF-8, from `start` up to `to`; the first of them is line number `line`. */
  take(
    { block, view }: Pick<RecordFields, 'block' | 'view'>,
    start: number,
    to: number,
    line: number,
    limits: PairLimits,
    rows: RowList,
  ): void {
    const keyEnds = this.#keyEnds;
    const valueEnds = this.#valueEnds;
    const last = Math.min(to, start + limits.bytes);
    const { pairs } = rows;
    const from = pairs.length;
    let count = 0;
    let position = start;
    // A line end stands at `to - 1`, or the file ends there: no loop runs past it.
    while (position < last && count < limits.rows) {
      let at = position;
      while (keyEnds[block[at] ?? LF] === 0) at += 1;
      const keyEnd = at;
      if (block[at] !== this.#delimiter || at === position) break;
      at += 1;
      while (valueEnds[block[at] ?? LF] === 0) at += 1;
      const end = at;
      if (block[at] === CR) at += 1;
      if (block[at] !== LF || end - position > this.#maxRecordBytes) break;
      pairs.pair(view, position, keyEnd, end);
      count += 1;
      position = at + 1;
    }
    if (count > 0) rows.addPairs(from, count, line);
    this.position = position;
    this.rows = count;
  }
}
