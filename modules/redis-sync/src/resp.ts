import { PLAIN_NUMBERS } from './row-list.ts';

/** A native copy costs as much as some fifty steps of a loop. */
const SHORT_BYTES = 48;
/** Marks, lengths and line ends of two bulk strings at most. */
const PAIR_OVERHEAD = 40;

/** Writes Redis commands in the protocol's own form into one buffer: a library call per key would cost more than all the rest. */
export class CommandBuffer {
  #bytes: Buffer;
  #length = 0;
  /** Commands written, each of which gets one reply. */
  count = 0;

  /** Takes over the spare memory when it is large enough, and not much too large. */
  constructor(capacity: number, spare?: Buffer) {
    const wanted = Math.max(capacity, 256);
    const fits = spare !== undefined && spare.length >= wanted && spare.length <= wanted * 4;
    this.#bytes = fits ? spare : Buffer.allocUnsafeSlow(Math.ceil(wanted * 1.25));
  }

  /** All of the memory, for another buffer once this one is done with. */
  get backing(): Buffer {
    return this.#bytes;
  }

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** A whole command. */
  command(...parts: readonly (string | Buffer)[]): void {
    this.begin(parts.length);
    for (const part of parts) this.buffer(typeof part === 'string' ? Buffer.from(part) : part);
  }

  /** A command of `parts` bulk strings, which follow by `text`, `slice`, `buffer` or `pairs`. */
  begin(parts: number): void {
    this.#room(0);
    this.count += 1;
    this.#head(0x2a, parts);
  }

  text(text: string): void {
    this.buffer(Buffer.from(text));
  }

  number(value: number): void {
    this.text(String(value));
  }

  buffer(bytes: Buffer): void {
    this.slice(bytes, 0, bytes.length);
  }

  slice(source: Buffer, start: number, end: number): void {
    this.#room(end - start);
    this.#bulk(source, start, end);
  }

  /** Keys and values of plain rows, as RowList keeps them. */
  pairs(source: Buffer, bounds: Int32Array, from: number, to: number): void {
    for (let at = from; at < to; at += PLAIN_NUMBERS) {
      const start = bounds[at] ?? 0;
      const keyEnd = bounds[at + 1] ?? 0;
      const end = bounds[at + 2] ?? 0;
      this.#room(end - start);
      this.#bulk(source, start, keyEnd);
      this.#bulk(source, keyEnd + 1, end);
    }
  }

  #bulk(source: Buffer, start: number, end: number): void {
    const size = end - start;
    this.#head(0x24, size);
    const bytes = this.#bytes;
    let at = this.#length;
    if (size > SHORT_BYTES) {
      source.copy(bytes, at, start, end);
      at += size;
    } else for (let from = start; from < end; from += 1) bytes[at++] = source[from] ?? 0;
    bytes[at++] = 0x0d;
    bytes[at++] = 0x0a;
    this.#length = at;
  }

  #head(mark: number, value: number): void {
    const bytes = this.#bytes;
    let at = this.#length;
    bytes[at++] = mark;
    // Most lengths have one or two digits; going through a string would cost more than the bytes themselves.
    if (value >= 100) at += bytes.write(String(value), at, 'latin1');
    else {
      if (value >= 10) bytes[at++] = 48 + Math.trunc(value / 10);
      bytes[at++] = 48 + (value % 10);
    }
    bytes[at++] = 0x0d;
    bytes[at++] = 0x0a;
    this.#length = at;
  }

  /** For so many bytes of content in up to two bulk strings. */
  #room(size: number): void {
    const needed = this.#length + size + PAIR_OVERHEAD;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}
