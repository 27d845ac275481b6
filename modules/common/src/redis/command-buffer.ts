/** A native copy costs as much as some fifty steps of a loop. */
const SHORT_BYTES = 48;
/** The same where a step moves four bytes. */
const SHORT_PAIR_BYTES = 256;
/** Which one does not matter as long as both sides use it; this one is that of the processors. */
const LITTLE_ENDIAN = true;
/** Mark, length and line ends of a bulk string at most. */
const OVERHEAD = 24;
const MAX_KEPT_BYTES = 2 * 1024 * 1024;

/** Writes Redis commands in the protocol's own form into one buffer: a library call per key would cost more than all the rest. */
export class CommandBuffer {
  #bytes: Buffer;
  /** Of the same memory; made when first needed. */
  #words: DataView | undefined;
  #length = 0;
  /** Commands written, each of which gets one reply. */
  count = 0;

  constructor(capacity: number) {
    this.#bytes = Buffer.allocUnsafeSlow(Math.max(capacity, 256));
  }

  /** All of the memory. */
  get backing(): Buffer {
    return this.#bytes;
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Empties it. Very large memory is given up. */
  clear(): void {
    if (this.#bytes.length > MAX_KEPT_BYTES) this.#replace(Buffer.allocUnsafeSlow(256));
    this.#length = 0;
    this.count = 0;
  }

  /** Makes room for so many bytes at once, where it would be made bit by bit. */
  reserve(bytes: number): void {
    this.#room(bytes);
  }

  /** A whole command. */
  command(...parts: readonly (string | Buffer)[]): void {
    this.begin(parts.length);
    for (const part of parts) this.buffer(typeof part === 'string' ? Buffer.from(part) : part);
  }

  /** A command of `parts` bulk strings, which follow by `text`, `slice`, `pair`, `buffer` or `append`. */
  begin(parts: number): void {
    this.#room(0);
    this.count += 1;
    this.#head(0x2a, parts);
  }

  text(text: string): void {
    this.buffer(Buffer.from(text));
  }

  number(value: number): void {
    if (value < 0 || !Number.isSafeInteger(value)) {
      this.text(String(value));
      return;
    }
    const size = digitsOf(value);
    this.#room(size);
    this.#head(0x24, size);
    this.#digits(value, size);
    this.#bytes[this.#length++] = 0x0d;
    this.#bytes[this.#length++] = 0x0a;
  }

  buffer(bytes: Buffer): void {
    this.slice(bytes, 0, bytes.length);
  }

  slice(source: Buffer, start: number, end: number): void {
    const size = end - start;
    this.#room(size);
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

  /**
   * Two bulk strings: what lies in `source` up to `middle`, and up to `end` without the byte between them. Four bytes at a
   * time, which costs half as much for short ones; up to three bytes behind `end` are looked at, too, which `source` has to hold.
   */
  pair(source: DataView, start: number, middle: number, end: number): void {
    const size = end - start;
    if (size > SHORT_PAIR_BYTES) {
      const bytes = Buffer.from(source.buffer, source.byteOffset, source.byteLength);
      this.slice(bytes, start, middle);
      this.slice(bytes, middle + 1, end);
      return;
    }
    this.#room(size + OVERHEAD);
    const words = (this.#words ??= viewOf(this.#bytes));
    const at = writeBulk(this.#bytes, words, this.#length, source, start, middle);
    this.#length = writeBulk(this.#bytes, words, at, source, middle + 1, end);
  }

  /** The head of a bulk string of `size` bytes, which follow by `append`; then `close`. */
  open(size: number): void {
    this.#room(0);
    this.#head(0x24, size);
  }

  /** Bytes as they are: a part of what was begun by `open`, or whole bulk strings or commands that are written already. */
  append(source: Buffer, start = 0, end = source.length): void {
    this.#room(end - start);
    if (end - start > SHORT_BYTES) this.#length += source.copy(this.#bytes, this.#length, start, end);
    else {
      const bytes = this.#bytes;
      let at = this.#length;
      for (let from = start; from < end; from += 1) bytes[at++] = source[from] ?? 0;
      this.#length = at;
    }
  }

  /** One byte of what was begun by `open`. */
  byte(value: number): void {
    this.#room(1);
    this.#bytes[this.#length++] = value;
  }

  close(): void {
    this.#room(0);
    this.#bytes[this.#length++] = 0x0d;
    this.#bytes[this.#length++] = 0x0a;
  }

  #head(mark: number, value: number): void {
    this.#bytes[this.#length++] = mark;
    this.#digits(value, digitsOf(value));
    this.#bytes[this.#length++] = 0x0d;
    this.#bytes[this.#length++] = 0x0a;
  }

  /** Going through a string would cost more than the digits themselves. */
  #digits(value: number, size: number): void {
    const bytes = this.#bytes;
    const start = this.#length;
    let rest = value;
    for (let at = start + size - 1; at >= start; at -= 1) {
      const tens = Math.floor(rest / 10);
      bytes[at] = 48 + rest - tens * 10;
      rest = tens;
    }
    this.#length = start + size;
  }

  /** For so many bytes of content in one bulk string. */
  #room(size: number): void {
    const needed = this.#length + size + OVERHEAD;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#replace(larger);
  }

  #replace(bytes: Buffer): void {
    this.#bytes = bytes;
    this.#words = undefined;
  }
}

/** A bulk string of less than a thousand bytes; gives where it ends. */
function writeBulk(
  bytes: Buffer,
  words: DataView,
  at: number,
  source: DataView,
  start: number,
  end: number,
): number {
  const size = end - start;
  let to = at;
  bytes[to++] = 0x24;
  if (size >= 100) bytes[to++] = 48 + ((size * 5243) >>> 19);
  if (size >= 10) bytes[to++] = 48 + (((size * 205) >>> 11) % 10);
  bytes[to++] = 48 + (size % 10);
  words.setInt16(to, 0x0a0d, LITTLE_ENDIAN);
  to += 2;
  for (let from = start, next = to; from < end; from += 4, next += 4) {
    words.setInt32(next, source.getInt32(from, LITTLE_ENDIAN), LITTLE_ENDIAN);
  }
  words.setInt16(to + size, 0x0a0d, LITTLE_ENDIAN);
  return to + size + 2;
}

/** A view of the same memory. */
export function viewOf({ buffer, byteOffset, length }: Buffer): DataView {
  return new DataView(buffer, byteOffset, length);
}

function digitsOf(value: number): number {
  let size = 1;
  for (let limit = 10; value >= limit; limit *= 10) size += 1;
  return size;
}

/** Where the content of the bulk string at `at` lies, and what comes behind it. */
export function readBulk(bytes: Buffer, at: number): { start: number; end: number; next: number } {
  const lineEnd = bytes.indexOf(0x0d, at);
  const start = lineEnd + 2;
  const end = start + Number(bytes.toString('latin1', at + 1, lineEnd));
  return { start, end, next: end + 2 };
}
