import type { ByteSink } from './entry-key.ts';
import type { RdbCursor } from './rdb-cursor.ts';

/** The value of an entry as it lies in the file, without the type byte, over however many pieces it comes in. */
export class EntryValue {
  /** Its size, once its end was found. */
  bytes = 0;
  readonly #cursor: RdbCursor;
  /** What of it lies in pieces of the file before the present one. */
  #pieces: Buffer[] = [];
  #pos = 0;
  #offset = 0;

  constructor(cursor: RdbCursor) {
    this.#cursor = cursor;
  }

  /** The cursor stands on its first byte. */
  begin(): void {
    this.#pos = this.#cursor.pos;
    this.#offset = this.#cursor.offset;
  }

  /** The cursor stands behind its last byte. */
  end(): void {
    this.bytes = this.#cursor.offset - this.#offset;
  }

  /** Another piece comes: what lies in this one has to be kept. */
  hold(): void {
    const { bytes, pos } = this.#cursor;
    // A few bytes of a header may be left unread; they come again with the next piece.
    if (pos > this.#pos) this.#pieces.push(Buffer.from(bytes.subarray(this.#pos, pos)));
  }

  /** Another piece is there. */
  goOn(): void {
    this.#pos = this.#cursor.start;
  }

  payload(): readonly Buffer[] {
    const { bytes, pos } = this.#cursor;
    const last = bytes.subarray(this.#pos, pos);
    return this.#pieces.length === 0 ? [last] : [...this.#pieces, last];
  }

  copy(to: ByteSink): void {
    for (const piece of this.#pieces) to.append(piece);
    to.append(this.#cursor.bytes, this.#pos, this.#cursor.pos);
  }

  clear(): void {
    if (this.#pieces.length > 0) this.#pieces = [];
  }
}
