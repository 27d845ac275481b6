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

  /** One that can be written on without touching this one; it shares the bytes until then, so only one may be in use. */
  copyable(): CommandBuffer {
    const copy = new CommandBuffer(0);
    copy.#bytes = this.#bytes;
    copy.#length = this.#length;
    copy.count = this.count;
    return copy;
  }

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** A command of `parts` bulk strings, which follow by `text`, `slice` or `buffer`. */
  begin(parts: number): void {
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
    const size = end - start;
    this.#head(0x24, size);
    this.#room(size + 2);
    source.copy(this.#bytes, this.#length, start, end);
    this.#length += size;
    this.#lineEnd();
  }

  /** The head of a bulk string of `size` bytes, which follow by `append`; then `close`. */
  open(size: number): void {
    this.#head(0x24, size);
  }

  append(source: Buffer, start = 0, end = source.length): void {
    this.#room(end - start);
    this.#length += source.copy(this.#bytes, this.#length, start, end);
  }

  /** One byte of what was begun by `open`. */
  byte(value: number): void {
    this.#room(1);
    this.#bytes[this.#length++] = value;
  }

  close(): void {
    this.#room(0);
    this.#lineEnd();
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  #head(mark: number, value: number): void {
    this.#room(16);
    const bytes = this.#bytes;
    let at = this.#length;
    bytes[at++] = mark;
    // Most lengths have one or two digits; going through a string would cost more than the bytes themselves.
    if (value >= 100) at += bytes.write(String(value), at, 'latin1');
    else {
      if (value >= 10) bytes[at++] = 48 + Math.trunc(value / 10);
      bytes[at++] = 48 + (value % 10);
    }
    this.#length = at;
    this.#lineEnd();
  }

  #lineEnd(): void {
    this.#bytes[this.#length] = 0x0d;
    this.#bytes[this.#length + 1] = 0x0a;
    this.#length += 2;
  }

  #room(size: number): void {
    const needed = this.#length + size + 2;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}
