import type { RdbCursor } from './rdb-cursor.ts';

/** Takes over bytes without an object for them. */
export interface ByteSink {
  append(source: Buffer, start?: number, end?: number): void;
}

const MAX_BYTES = 16 * 1024 * 1024;

/** The key of an entry, where it lies in the present piece of the file; it costs an object only when it is asked for. */
export class EntryKey {
  readonly #cursor: RdbCursor;
  /** Once it was asked for, or when it does not lie there as it is. */
  #own: Buffer | undefined;
  #start = 0;
  #end = 0;

  constructor(cursor: RdbCursor) {
    this.#cursor = cursor;
  }

  /** False when it is not all there yet; nothing was taken then. */
  read(): boolean {
    const cursor = this.#cursor;
    const size = cursor.plain(MAX_BYTES);
    if (size < 0) {
      this.#own = cursor.string(MAX_BYTES);
      return this.#own !== undefined;
    }
    this.#own = undefined;
    this.#start = cursor.pos;
    this.#end = cursor.pos += size;
    return true;
  }

  get bytes(): Buffer {
    return (this.#own ??= this.#cursor.bytes.subarray(this.#start, this.#end));
  }

  get length(): number {
    return this.#own?.length ?? this.#end - this.#start;
  }

  begins(prefix: Buffer): boolean {
    const { length } = prefix;
    if (this.length < length) return false;
    const bytes = this.#own ?? this.#cursor.bytes;
    const start = this.#own === undefined ? this.#start : 0;
    // Most differ in the first byte, which is cheaper than a call.
    return bytes[start] === prefix[0] && prefix.compare(bytes, start, start + length) === 0;
  }

  copy(to: ByteSink): void {
    if (this.#own === undefined) to.append(this.#cursor.bytes, this.#start, this.#end);
    else to.append(this.#own);
  }

  /** Another piece comes: what lies in this one has to be kept. */
  hold(): void {
    this.#own ??= Buffer.from(this.bytes);
  }
}
