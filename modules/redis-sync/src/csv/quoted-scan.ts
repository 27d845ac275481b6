import type { Malformation } from '../rows/row.ts';

const QUOTE = 0x22;
const LF = 0x0a;
const CR = 0x0d;

/**
 * `record`: it is whole, up to `end`. `fault`: it is bad by the byte at `end`, for the reason `malformation`. `more`: it goes
 * on behind the block; the next step goes on where this one stood.
 */
export type QuotedOutcome = 'record' | 'fault' | 'more';

/** One record from its first quoted field to its end, through quoted line ends; each byte is looked at once. */
export class QuotedScan {
  /** Offset from the record's first byte. */
  end = 0;
  /** Line ends of the record before `end`. */
  lines = 0;
  malformation: Malformation = 'quote not closed';

  readonly #delimiter: number;
  readonly #maxRecordBytes: number;
  // Offsets from the record's first byte too: the record moves from block to block.
  #opened = 0;
  #openedAtLine = 0;
  #lines = 0;
  #isInside = false;
  /** Everything before it was looked at. */
  #at = 0;
  /** Inside quotes: line ends before it are counted. Outside: where the field begins, or -1 behind a closing quote. */
  #from = 0;

  constructor(delimiter: number, maxRecordBytes: number) {
    this.#delimiter = delimiter;
    this.#maxRecordBytes = maxRecordBytes;
  }

  begin(firstQuote: number): void {
    this.#lines = 0;
    this.#open(firstQuote);
  }

  /** Goes on with the record that begins at `start` of the block, as far as the block goes. */
  step(block: Buffer, start: number, isLast: boolean): QuotedOutcome {
    for (;;) {
      const outcome = this.#isInside
        ? this.#inside(block, start, isLast)
        : this.#outside(block, start, isLast);
      if (outcome !== undefined) return outcome;
    }
  }

  #open(at: number): void {
    this.#opened = at;
    this.#openedAtLine = this.#lines;
    this.#isInside = true;
    this.#at = at + 1;
    this.#from = at + 1;
  }

  /** Only a quote that is not doubled ends it. */
  #inside(block: Buffer, start: number, isLast: boolean): QuotedOutcome | undefined {
    const { length } = block;
    const close = closingQuote(block, start + this.#at);
    const to = close === -1 ? length : close;
    this.#at = to - start;
    if (this.#at > this.#maxRecordBytes) return this.#faultOfQuote('quote not closed');
    if (close === -1) return isLast ? this.#faultOfQuote('quote not closed') : 'more';
    // The quote may be the first half of a doubled one, or the CR of a CRLF may follow: wait for one more byte.
    if (close + 1 === length && !isLast) return 'more';
    this.#lines += countLines(block, start + this.#from, close);
    const byte = block[close + 1];
    if (close + 1 < length && byte !== this.#delimiter && byte !== LF && byte !== CR) {
      return this.#faultOfQuote('text after a closing quote');
    }
    this.#isInside = false;
    this.#at += 1;
    this.#from = -1;
    return undefined;
  }

  /** Fields up to the next quoted one, or the end of the record. */
  #outside(block: Buffer, start: number, isLast: boolean): QuotedOutcome | undefined {
    const { length } = block;
    const delimiter = this.#delimiter;
    let fieldStart = this.#from;
    let at = start + this.#at;
    let byte: number | undefined;
    for (; at < length; at += 1) {
      byte = block[at];
      if (byte === delimiter) fieldStart = at + 1 - start;
      else if (byte === QUOTE || byte === LF || byte === CR) break;
    }
    this.#at = at - start;
    this.#from = fieldStart;
    if (at < length && byte === QUOTE) {
      if (this.#at !== fieldStart) return this.#fault(this.#at, this.#lines, 'quote in mid-field');
      this.#open(fieldStart);
      return undefined;
    }
    if (this.#at > this.#maxRecordBytes) return this.#faultOfQuote('longer than maxRecordBytes');
    if (at === length && !isLast) return 'more';
    this.end = this.#at;
    this.lines = this.#lines;
    return 'record';
  }

  /** The line of the quote that was opened last is to blame. */
  #faultOfQuote(why: Malformation): QuotedOutcome {
    return this.#fault(this.#opened, this.#openedAtLine, why);
  }

  #fault(end: number, lines: number, why: Malformation): QuotedOutcome {
    this.end = end;
    this.lines = lines;
    this.malformation = why;
    return 'fault';
  }
}

function closingQuote(block: Buffer, from: number): number {
  for (let at = block.indexOf(QUOTE, from); at !== -1; at = block.indexOf(QUOTE, at + 2)) {
    if (block[at + 1] !== QUOTE) return at;
  }
  return -1;
}

function countLines(block: Buffer, from: number, to: number): number {
  let lines = 0;
  for (let at = from; at < to; at += 1) {
    const byte = block[at];
    if (byte === LF) lines += 1;
    else if (byte === CR && block[at + 1] !== LF) lines += 1;
  }
  return lines;
}
