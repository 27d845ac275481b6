import { RdbFailure } from './rdb-failure.ts';
import { unpackLzf } from './lzf.ts';

/** Answer of a read that needs more bytes than there are yet; nothing was taken then. */
export const MORE = -1;
/** Answers of `header` below this one stand for the special forms of a string, by `FORM - answer`. */
const FORM = -2;
const FORM_LZF = 3;
const LARGEST = Number.MAX_SAFE_INTEGER;
/** So much of a piece is put behind what was left of the one before: it is the end of one entry, most often. */
const SEAM_BYTES = 4096;

/** A place in a stream of bytes that come in pieces. What is read has to lie in one piece; what is passed over does not. */
export class RdbCursor {
  bytes: Buffer = Buffer.alloc(0);
  pos = 0;
  /** Offset in the file of the first byte of `bytes`. */
  base: number;
  /** In `bytes`, where reading went on when they came. */
  start = 0;
  /** Bytes still to be passed over, that have not come yet. */
  owed = 0;
  /** Of a packed string whose header was read. */
  #packed = 0;
  #unpacked = 0;
  /** The piece of which `bytes` have the beginning only. */
  #behind: Buffer | undefined;

  constructor(offset: number) {
    this.base = offset;
  }

  get offset(): number {
    return this.base + this.pos;
  }

  get left(): number {
    return this.bytes.length - this.pos;
  }

  /** All that there is and was not read yet. */
  get unread(): number {
    return this.left + (this.#behind === undefined ? 0 : this.#behind.length - SEAM_BYTES);
  }

  /** Whether there is more of the present piece for `goOn`. */
  get isSeam(): boolean {
    return this.#behind !== undefined;
  }

  /** Adds a piece behind what has not been read yet. */
  feed(piece: Buffer): void {
    const rest = this.bytes.subarray(this.pos);
    this.base += this.pos;
    // A long key is put together at once: by way of a seam it would be copied twice.
    const isLong = rest.length > 0 && rest.length <= SEAM_BYTES && piece.length > SEAM_BYTES;
    this.#behind = isLong ? piece : undefined;
    if (rest.length === 0) this.bytes = piece;
    else this.bytes = Buffer.concat([rest, isLong ? piece.subarray(0, SEAM_BYTES) : piece]);
    this.#begin(0);
  }

  /** Goes over to the piece of which there was the beginning only. */
  goOn(): void {
    const piece = this.#behind;
    if (piece === undefined) return;
    const { left } = this;
    if (left > SEAM_BYTES) {
      // A key, most likely, that is longer than the seam.
      this.base += this.pos;
      this.bytes = Buffer.concat([this.bytes.subarray(this.pos), piece.subarray(SEAM_BYTES)]);
      this.#begin(0);
    } else {
      const from = SEAM_BYTES - left;
      this.base += this.pos - from;
      this.bytes = piece;
      this.#begin(from);
    }
    this.#behind = undefined;
  }

  pass(count: number): void {
    const { left } = this;
    if (count <= left) this.pos += count;
    else {
      this.pos = this.bytes.length;
      this.owed = count - left;
    }
  }

  byte(): number {
    return this.pos < this.bytes.length ? this.at(this.pos++) : MORE;
  }

  /** A length, MORE, or (below MORE) a special form of a string. */
  header(): number {
    const { bytes, pos } = this;
    const left = bytes.length - pos;
    if (left === 0) return MORE;
    const first = this.at(pos);
    switch (first >> 6) {
      case 0:
        this.pos = pos + 1;
        return first;
      case 1:
        if (left < 2) return MORE;
        this.pos = pos + 2;
        return ((first & 0x3f) << 8) | this.at(pos + 1);
      case 2:
        if (first === 0x80) {
          if (left < 5) return MORE;
          this.pos = pos + 5;
          return bytes.readUInt32BE(pos + 1);
        }
        if (first === 0x81) {
          if (left < 9) return MORE;
          this.pos = pos + 9;
          return bytes.readUInt32BE(pos + 1) * 0x1_0000_0000 + bytes.readUInt32BE(pos + 5);
        }
        throw new RdbFailure(this.offset, `a length begins with the byte ${first}, which means nothing`);
      default:
        this.pos = pos + 1;
        return FORM - (first & 0x3f);
    }
  }

  /** A length that is no special form. */
  length(): number {
    const { offset } = this;
    const value = this.header();
    if (value < MORE)
      throw new RdbFailure(offset, 'a length is expected, and a string in a special form found');
    return value;
  }

  /** A length by which something is counted. */
  count(): number {
    const { offset } = this;
    const value = this.length();
    if (value > LARGEST) throw new RdbFailure(offset, 'a count or size is larger than any file');
    return value;
  }

  /** Passes over a string. False when its header is not all there yet; nothing was taken then. */
  passString(): boolean {
    const start = this.pos;
    const value = this.header();
    if (value >= 0) {
      if (value > LARGEST) throw new RdbFailure(this.base + start, 'a string is longer than any file');
      this.pass(value);
      return true;
    }
    if (value === MORE) return false;
    const form = FORM - value;
    if (form < FORM_LZF) {
      this.pass(1 << form);
      return true;
    }
    if (!this.#lzfHeader(form, start)) return false;
    this.pass(this.#packed);
    return true;
  }

  /**
   * Size of a string of up to `most` bytes that lies there as it is and as a whole; the cursor stands on its first byte then. Below 0
   * for any other, and for one that is not all there yet; nothing was taken then.
   */
  plain(most: number): number {
    const start = this.pos;
    const size = this.header();
    if (size >= 0 && size <= most && size <= this.bytes.length - this.pos) return size;
    this.pos = start;
    return MORE;
  }

  /** Reads a string of up to `most` bytes. Undefined when it is not all there yet; nothing was taken then. */
  string(most: number): Buffer | undefined {
    const start = this.pos;
    const value = this.header();
    if (value === MORE) return undefined;
    if (value >= 0) {
      this.#limit(value, most, start);
      return this.#take(value, start);
    }
    const form = FORM - value;
    if (form < FORM_LZF) {
      const size = 1 << form;
      if (this.#take(size, start) === undefined) return undefined;
      return Buffer.from(String(this.bytes.readIntLE(this.pos - size, size)));
    }
    if (!this.#lzfHeader(form, start)) return undefined;
    this.#limit(this.#packed, most, start);
    this.#limit(this.#unpacked, most, start);
    const packed = this.#take(this.#packed, start);
    if (packed === undefined) return undefined;
    const unpacked = unpackLzf(packed, this.#unpacked);
    if (unpacked === undefined) throw new RdbFailure(this.base + start, 'a packed string does not unpack');
    return unpacked;
  }

  /** Reads both sizes of a packed string; false when they are not all there yet. */
  #lzfHeader(form: number, start: number): boolean {
    if (form !== FORM_LZF)
      throw new RdbFailure(this.base + start, `a string has the form ${form}, which means nothing`);
    const packed = this.count();
    const unpacked = packed === MORE ? MORE : this.count();
    if (unpacked === MORE) {
      this.pos = start;
      return false;
    }
    this.#packed = packed;
    this.#unpacked = unpacked;
    return true;
  }

  #limit(size: number, most: number, start: number): void {
    if (size > most)
      throw new RdbFailure(this.base + start, `a name of ${size} bytes is longer than the ${most} supported`);
  }

  #begin(pos: number): void {
    this.start = pos;
    this.pos = pos;
    const { owed } = this;
    this.owed = 0;
    this.pass(owed);
  }

  #take(size: number, start: number): Buffer | undefined {
    if (size <= this.left) {
      const bytes = this.bytes.subarray(this.pos, this.pos + size);
      this.pos += size;
      return bytes;
    }
    this.pos = start;
    return undefined;
  }

  /** Indices are within. */
  at(index: number): number {
    return this.bytes[index] ?? 0;
  }
}
