import { isUtf8 } from 'node:buffer';

const LF = 0x0a;
const CR = 0x0d;

/** Looks for UTF-8 at all whole lines of a block in one go; only when that fails, at each record by itself. */
export class Utf8Check {
  /** Nobody has looked from here on. */
  #checkedTo = 0;
  #isGood = true;

  /** Before this position all is good, and whole lines. */
  get goodTo(): number {
    return this.#isGood ? this.#checkedTo : 0;
  }

  /** The block's first bytes went away, so many of them. */
  shift(bytes: number): void {
    this.#checkedTo = Math.max(0, this.#checkedTo - bytes);
    if (this.#checkedTo === 0) this.#isGood = true;
  }

  /** Looks at each whole line, of which the first new one ends at `from` or later; the last time at everything. */
  look(block: Buffer, from: number, isLast: boolean): void {
    const fresh = block.subarray(from);
    const lastEnd = isLast ? block.length - 1 : Math.max(fresh.lastIndexOf(LF), fresh.lastIndexOf(CR)) + from;
    if (lastEnd < Math.max(from, this.#checkedTo)) return;
    if (this.#isGood) this.#isGood = isUtf8(block.subarray(this.#checkedTo, lastEnd + 1));
    this.#checkedTo = lastEnd + 1;
  }

  isValid(block: Buffer, start: number, end: number): boolean {
    return end <= this.goodTo || isUtf8(block.subarray(start, end));
  }
}
