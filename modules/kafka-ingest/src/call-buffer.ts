const HEAD = 32;

/**
 * The arguments of one script call in the protocol's own form, in one buffer: a library that takes them as an array costs more
 * than all the rest. The number of arguments is written last, into room that was kept before them.
 */
export class CallBuffer {
  #bytes: Buffer;
  #at = HEAD;
  #count = 0;

  constructor(capacity: number, spare?: Buffer) {
    this.#bytes = spare !== undefined && spare.length >= capacity ? spare : Buffer.allocUnsafeSlow(capacity);
  }

  /** Bytes of arguments so far. */
  get size(): number {
    return this.#at - HEAD;
  }

  /** All of the memory, for another call once this one was answered. */
  get backing(): Buffer {
    return this.#bytes;
  }

  /** A binary string: one byte per character. */
  binary(text: string): void {
    const { length } = text;
    this.#head(length);
    this.#room(length + 2);
    const bytes = this.#bytes;
    let at = this.#at;
    if (length <= 32) for (let i = 0; i < length; i += 1) bytes[at++] = text.charCodeAt(i);
    else at += bytes.write(text, at, 'latin1');
    this.#end(at);
  }

  /** Any text, in UTF-8. */
  text(text: string): void {
    const { length } = text;
    if (length > 48) {
      this.#long(text);
      return;
    }
    const start = this.#at;
    this.#head(length);
    this.#room(length + 2);
    const bytes = this.#bytes;
    let at = this.#at;
    for (let i = 0; i < length; i += 1) {
      const code = text.charCodeAt(i);
      if (code > 127) {
        this.#at = start;
        this.#count -= 1;
        this.#long(text);
        return;
      }
      bytes[at++] = code;
    }
    this.#end(at);
  }

  bytes(value: Buffer): void {
    const { length } = value;
    this.#head(length);
    this.#room(length + 2);
    value.copy(this.#bytes, this.#at);
    this.#end(this.#at + length);
  }

  /** The call's bytes. The buffer must not be written on any more. */
  finish(): Buffer {
    const head = `*${this.#count}\r\n`;
    const start = HEAD - head.length;
    this.#bytes.write(head, start, 'latin1');
    return this.#bytes.subarray(start, this.#at);
  }

  #long(text: string): void {
    const length = Buffer.byteLength(text);
    this.#head(length);
    this.#room(length + 2);
    this.#bytes.write(text, this.#at);
    this.#end(this.#at + length);
  }

  #head(length: number): void {
    this.#count += 1;
    this.#room(16);
    const bytes = this.#bytes;
    let at = this.#at;
    bytes[at++] = 0x24;
    if (length < 10) bytes[at++] = 48 + length;
    else if (length < 100) {
      bytes[at++] = 48 + Math.trunc(length / 10);
      bytes[at++] = 48 + (length % 10);
    } else at += bytes.write(String(length), at, 'latin1');
    bytes[at++] = 0x0d;
    bytes[at++] = 0x0a;
    this.#at = at;
  }

  #end(at: number): void {
    this.#bytes[at] = 0x0d;
    this.#bytes[at + 1] = 0x0a;
    this.#at = at + 2;
  }

  #room(size: number): void {
    const needed = this.#at + size;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
  }
}
