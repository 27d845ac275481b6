import { viewOf } from '@iotedge-redis/common';
import { PairScan } from './pair-scan.ts';
import type { PairLimits } from './pair-scan.ts';
import { QuotedScan } from './quoted-scan.ts';
import { FieldEnds, SLACK_BYTES } from './record-fields.ts';
import type { RecordFields } from './record-fields.ts';
import type { RowList } from '../rows/row-list.ts';
import type { Malformation } from '../rows/row.ts';
import { Utf8Check } from './utf8-check.ts';

const QUOTE = 0x22;
const LF = 0x0a;
const CR = 0x0d;
/** Room for the beginning of a record that the block before ended in. */
const SPARE_BYTES = 64 * 1024;

/** What `next()` found. */
export type Found =
  /** A record without quotes; its fields end at `ends`. */
  | 'plain'
  /** A well-formed record with a quoted field; only its extent is known. */
  | 'quoted'
  /** A record that cannot be used; `malformation` says why. */
  | 'bad'
  /** The rest is not a whole record: `append` more, or `finish`. */
  | 'more'
  /** Everything is consumed. */
  | 'end';

export interface ScannerOptions {
  /** One ASCII byte. */
  readonly delimiter: number;
  /** The seed's form: quotes are bytes like any other and only the first delimiter of a line separates. */
  readonly isPair: boolean;
  readonly maxRecordBytes: number;
  /** Where the first byte stands in the (decoded) file: a resumed scan begins at a record boundary. */
  readonly offset?: number;
  /** Line number of the first byte, from 1. */
  readonly line?: number;
}

/**
 * Owns record boundaries, byte offsets and UTF-8: a cursor over the file's bytes that stands outside of quotes before each
 * record. An incomplete tail is carried over to the next block. Blank lines are passed over.
 */
export class RecordScanner implements RecordFields {
  /** What the positions below belong to, until the next `append`. */
  block: Buffer = Buffer.alloc(0);
  view: DataView = viewOf(this.block);
  start = 0;
  end = 0;
  /** Line of the record's first byte; for a bad record the line of its fault. */
  line = 0;
  readonly ends = new FieldEnds();
  malformation: Malformation = 'quote in mid-field';

  readonly #options: ScannerOptions;
  readonly #quoted: QuotedScan;
  readonly #pairs: PairScan;
  readonly #utf8 = new Utf8Check();
  #memory: Buffer = Buffer.alloc(0);
  #position = 0;
  #nextLine: number;
  /** Offset in the file of the block's first byte. */
  #base: number;
  #finished = false;
  /** Inside a line that is longer than allowed: its bytes are dropped as they come. */
  #isDropping = false;
  /** A CR was the last byte dropped or consumed: an LF that follows belongs to it. */
  #afterCr = false;
  /** The record at `#position` is not whole yet; what stands here of it was looked at, and is not looked at again. */
  #partial: 'plain' | 'quoted' | undefined;
  // Of a plain one, from its first byte:
  #seen = 0;
  #fieldStart = 0;
  #hasStrayQuote = false;

  constructor(options: ScannerOptions) {
    this.#options = options;
    this.#quoted = new QuotedScan(options.delimiter, options.maxRecordBytes);
    this.#pairs = new PairScan(options.delimiter, options.isPair, options.maxRecordBytes);
    this.#base = options.offset ?? 0;
    this.#nextLine = options.line ?? 1;
  }

  /** File offset behind everything that `next` has handed out: always a record boundary. */
  get offset(): number {
    return this.#base + this.#position;
  }

  /** False in the middle of a line that is being dropped, or between a CR and the LF that may follow in the next block. */
  get isAtBoundary(): boolean {
    return !this.#isDropping && !this.#afterCr;
  }

  /** Line number of the byte at `offset`. */
  get nextLine(): number {
    return this.#nextLine;
  }

  /** Takes a copy; what `block` held before is gone then. */
  append(bytes: Buffer): void {
    const rest = this.block.length - this.#position;
    const size = rest + bytes.length;
    const needed = size + SLACK_BYTES;
    let memory = this.#memory;
    if (memory.length < needed || memory.length > needed * 4) {
      // Half as much again: a long record comes in many blocks.
      memory = Buffer.allocUnsafeSlow(rest > bytes.length ? Math.ceil(needed * 1.5) : needed + SPARE_BYTES);
      this.view = viewOf(memory);
    }
    const moved = this.#position;
    // A long record stays where it is.
    if (moved > 0 || memory !== this.#memory) this.block.copy(memory, 0, moved);
    bytes.copy(memory, rest);
    this.#memory = memory;
    this.block = memory.subarray(0, size);
    this.#base += moved;
    this.#position = 0;
    if (moved > 0) this.ends.shift(moved);
    this.#utf8.shift(moved);
    this.#utf8.look(this.block, rest, false);
  }

  /** There is no more: a last line without a line end is a record too. */
  finish(): void {
    this.#finished = true;
    this.#utf8.look(this.block, this.block.length, true);
  }

  /**
   * Takes rows of key and value that `next` would find plain, up to the limits, and tells how many bytes they are: 0 when
   * the next record is for `next` to look at.
   */
  takePairs(limits: PairLimits, rows: RowList): number {
    if (this.#isDropping || this.#partial !== undefined) return 0;
    const from = this.#position;
    const pairs = this.#pairs;
    pairs.take(this, from, this.#utf8.goodTo, this.#nextLine, limits, rows);
    if (pairs.rows === 0) return 0;
    this.#position = pairs.position;
    this.#nextLine += pairs.rows;
    this.#afterCr = false;
    return pairs.position - from;
  }

  next(): Found {
    for (;;) {
      if (this.#isDropping && !this.#dropLine()) return this.#finished ? 'end' : 'more';
      const { block } = this;
      if (this.#position >= block.length) return this.#finished ? 'end' : 'more';
      const first = block[this.#position];
      if (first === LF && this.#afterCr) {
        this.#afterCr = false;
        this.#position += 1;
        continue;
      }
      this.#afterCr = false;
      if (first !== LF && first !== CR) {
        const found = this.#scan();
        if (found !== undefined) return found;
        continue;
      }
      this.#endLine(this.#position);
    }
  }

  #scan(): Found | undefined {
    if (this.#partial === 'quoted') return this.#scanQuoted();
    const { block, ends } = this;
    const { delimiter, isPair } = this.#options;
    const start = this.#position;
    const length = block.length;
    let at = start;
    let fieldStart = start;
    let hasStrayQuote = false;
    if (this.#partial === 'plain') {
      at += this.#seen;
      fieldStart += this.#fieldStart;
      hasStrayQuote = this.#hasStrayQuote;
      this.#partial = undefined;
    } else ends.clear();
    for (; at < length; at += 1) {
      const byte = block[at];
      if (byte === delimiter) {
        if (isPair && ends.count > 0) continue;
        ends.add(at);
        fieldStart = at + 1;
      } else if (byte === QUOTE && !isPair) {
        if (at === fieldStart && !hasStrayQuote) {
          this.#quoted.begin(at - start);
          return this.#scanQuoted();
        }
        hasStrayQuote = true;
      } else if (byte === LF || byte === CR) break;
    }
    const tooLong = at - start > this.#options.maxRecordBytes;
    if (at === length && !this.#finished) {
      if (!tooLong) {
        this.#partial = 'plain';
        this.#seen = at - start;
        this.#fieldStart = fieldStart - start;
        this.#hasStrayQuote = hasStrayQuote;
        return 'more';
      }
      this.#isDropping = true;
      return this.#reject('longer than maxRecordBytes', this.#nextLine, length);
    }
    this.start = start;
    this.end = at;
    ends.add(at);
    const line = this.#nextLine;
    this.line = line;
    const isValid = this.#utf8.isValid(block, start, at);
    this.#endLine(at);
    if (tooLong) return this.#bad('longer than maxRecordBytes');
    if (!isValid) return this.#bad('not UTF-8');
    if (hasStrayQuote) return this.#bad('quote in mid-field');
    return 'plain';
  }

  #scanQuoted(): Found {
    const quoted = this.#quoted;
    const start = this.#position;
    const outcome = quoted.step(this.block, start, this.#finished);
    this.#partial = outcome === 'more' ? 'quoted' : undefined;
    if (outcome === 'more') return 'more';
    const at = start + quoted.end;
    if (outcome === 'fault') return this.#restartAfter(at, quoted.lines, quoted.malformation);
    this.start = start;
    this.end = at;
    this.line = this.#nextLine;
    const isValid = this.#utf8.isValid(this.block, start, at);
    this.#nextLine += quoted.lines;
    this.#endLine(at);
    return isValid ? 'quoted' : this.#bad('not UTF-8');
  }

  /**
   * The record is bad on the line of the byte at `at`, which is `lines` below the record's first; the scan goes on at the
   * line after it, so that one stray quote does not swallow what follows.
   */
  #restartAfter(at: number, lines: number, why: Malformation): Found {
    const { block } = this;
    let end = at;
    while (end < block.length && block[end] !== LF && block[end] !== CR) end += 1;
    this.#nextLine += lines;
    const line = this.#nextLine;
    if (end === block.length && !this.#finished) {
      this.#isDropping = true;
      return this.#reject(why, line, end);
    }
    this.line = line;
    this.start = this.#position;
    this.end = end;
    this.#endLine(end);
    return this.#bad(why);
  }

  #reject(why: Malformation, line: number, to: number): Found {
    this.line = line;
    this.start = this.#position;
    this.end = to;
    this.#position = to;
    return this.#bad(why);
  }

  #bad(why: Malformation): Found {
    this.malformation = why;
    return 'bad';
  }

  /** Consumes bytes up to and with the line end; false when the block ends first. */
  #dropLine(): boolean {
    const { block } = this;
    let at = this.#position;
    while (at < block.length && block[at] !== LF && block[at] !== CR) at += 1;
    if (at === block.length) {
      this.#position = at;
      return false;
    }
    this.#isDropping = false;
    this.#endLine(at);
    return true;
  }

  /** Steps over the line end at `at`, which may also be the end of the file. */
  #endLine(at: number): void {
    const { block } = this;
    if (at >= block.length) {
      this.#position = at;
      return;
    }
    this.#nextLine += 1;
    this.#position = at + 1;
    if (block[at] !== CR) return;
    if (block[at + 1] === LF) this.#position = at + 2;
    // The LF of this CR may be the first byte of the next block.
    else this.#afterCr = at + 1 === block.length;
  }
}
