/** CRC64 by any reflected polynomial, eight bytes per step over two 32-bit halves: a BigInt per byte would be a hundred times slower. */
const SLICES = 8;
/** Below so many bytes, a view of them as words costs more than it saves. */
const WORTH_A_VIEW = 512;

/** What tells one CRC64 from another: polynomial, bits reflected, and what the sum is xored with before and after. */
interface Variant {
  readonly hi: Int32Array;
  readonly lo: Int32Array;
  readonly mask: number;
}

function variant(polyHi: number, polyLo: number, mask: number): Variant {
  const hi = new Int32Array(SLICES * 256);
  const lo = new Int32Array(SLICES * 256);
  for (let byte = 0; byte < 256; byte += 1) {
    let high = 0;
    let low = byte;
    for (let bit = 0; bit < 8; bit += 1) {
      const isOdd = (low & 1) === 1;
      low = (low >>> 1) | (high << 31);
      high >>>= 1;
      if (isOdd) {
        high ^= polyHi;
        low ^= polyLo;
      }
    }
    hi[byte] = high;
    lo[byte] = low;
  }
  for (let slice = 1; slice < SLICES; slice += 1) {
    for (let byte = 0; byte < 256; byte += 1) {
      const high = word(hi, (slice - 1) * 256 + byte);
      const low = word(lo, (slice - 1) * 256 + byte);
      const index = low & 0xff;
      hi[slice * 256 + byte] = (high >>> 8) ^ word(hi, index);
      lo[slice * 256 + byte] = ((low >>> 8) | (high << 24)) ^ word(lo, index);
    }
  }
  return { hi, lo, mask };
}

/** Azure Storage: reflected polynomial 0x9A6C9329AC4BC9B5, all ones before and after. */
const STORAGE = variant(0x9a6c9329, 0xac4bc9b5, -1);
/** Redis (the polynomial of Jones): reflected 0x95AC9329AC4BC9B5, nothing before and after. */
const REDIS = variant(0x95ac9329, 0xac4bc9b5, 0);

/** A running CRC64. The digest is of everything given to `update` since it was made or reset. */
export class Crc64 {
  readonly #variant: Variant;
  #hi: number;
  #lo: number;

  private constructor(kind: Variant) {
    this.#variant = kind;
    this.#hi = kind.mask;
    this.#lo = kind.mask;
  }

  /** The sum that Azure Storage keeps of blobs and ranges. */
  static storage(): Crc64 {
    return new Crc64(STORAGE);
  }

  /** The sum at the end of an RDB file and of a DUMP payload. */
  static redis(): Crc64 {
    return new Crc64(REDIS);
  }

  reset(): this {
    this.#hi = this.#variant.mask;
    this.#lo = this.#variant.mask;
    return this;
  }

  /** Takes in `bytes` from `start` up to `end`. */
  update(bytes: Uint8Array, start = 0, end = bytes.length): this {
    if (end - start < WORTH_A_VIEW) {
      this.#byBytes(bytes, start, end);
      return this;
    }
    // Four bytes are read in one load, where the memory allows it.
    const first = start + (-(bytes.byteOffset + start) & 3);
    const pairs = (end - first) >>> 3;
    this.#byBytes(bytes, start, first);
    this.#byWords(new Int32Array(bytes.buffer, bytes.byteOffset + first, pairs * 2));
    this.#byBytes(bytes, first + pairs * 8, end);
    return this;
  }

  #byWords(words: Int32Array): void {
    const { hi: hiTable, lo: loTable } = this.#variant;
    let hi = this.#hi;
    let lo = this.#lo;
    for (let index = 0; index < words.length; index += 2) {
      const a = lo ^ word(words, index);
      const b = hi ^ word(words, index + 1);
      const i0 = 1792 + (a & 0xff);
      const i1 = 1536 + ((a >>> 8) & 0xff);
      const i2 = 1280 + ((a >>> 16) & 0xff);
      const i3 = 1024 + (a >>> 24);
      const i4 = 768 + (b & 0xff);
      const i5 = 512 + ((b >>> 8) & 0xff);
      const i6 = 256 + ((b >>> 16) & 0xff);
      const i7 = b >>> 24;
      hi =
        word(hiTable, i0) ^
        word(hiTable, i1) ^
        word(hiTable, i2) ^
        word(hiTable, i3) ^
        word(hiTable, i4) ^
        word(hiTable, i5) ^
        word(hiTable, i6) ^
        word(hiTable, i7);
      lo =
        word(loTable, i0) ^
        word(loTable, i1) ^
        word(loTable, i2) ^
        word(loTable, i3) ^
        word(loTable, i4) ^
        word(loTable, i5) ^
        word(loTable, i6) ^
        word(loTable, i7);
    }
    this.#hi = hi;
    this.#lo = lo;
  }

  #byBytes(bytes: Uint8Array, start: number, end: number): void {
    const { hi: hiTable, lo: loTable } = this.#variant;
    let hi = this.#hi;
    let lo = this.#lo;
    let offset = start;
    for (; offset + 8 <= end; offset += 8) {
      const i0 = 1792 + ((lo ^ byte(bytes, offset)) & 0xff);
      const i1 = 1536 + (((lo >>> 8) ^ byte(bytes, offset + 1)) & 0xff);
      const i2 = 1280 + (((lo >>> 16) ^ byte(bytes, offset + 2)) & 0xff);
      const i3 = 1024 + ((lo >>> 24) ^ byte(bytes, offset + 3));
      const i4 = 768 + ((hi ^ byte(bytes, offset + 4)) & 0xff);
      const i5 = 512 + (((hi >>> 8) ^ byte(bytes, offset + 5)) & 0xff);
      const i6 = 256 + (((hi >>> 16) ^ byte(bytes, offset + 6)) & 0xff);
      const i7 = (hi >>> 24) ^ byte(bytes, offset + 7);
      hi =
        word(hiTable, i0) ^
        word(hiTable, i1) ^
        word(hiTable, i2) ^
        word(hiTable, i3) ^
        word(hiTable, i4) ^
        word(hiTable, i5) ^
        word(hiTable, i6) ^
        word(hiTable, i7);
      lo =
        word(loTable, i0) ^
        word(loTable, i1) ^
        word(loTable, i2) ^
        word(loTable, i3) ^
        word(loTable, i4) ^
        word(loTable, i5) ^
        word(loTable, i6) ^
        word(loTable, i7);
    }
    for (; offset < end; offset += 1) {
      const index = (lo ^ byte(bytes, offset)) & 0xff;
      lo = ((lo >>> 8) | (hi << 24)) ^ word(loTable, index);
      hi = (hi >>> 8) ^ word(hiTable, index);
    }
    this.#hi = hi;
    this.#lo = lo;
  }

  /** The sum so far in eight bytes, little-endian; `update` may go on. */
  digest(): Buffer {
    const sum = Buffer.allocUnsafe(8);
    this.writeTo(sum, 0);
    return sum;
  }

  /** The same into a buffer of the caller's. */
  writeTo(target: Buffer, offset: number): void {
    target.writeInt32LE(this.#lo ^ this.#variant.mask, offset);
    target.writeInt32LE(this.#hi ^ this.#variant.mask, offset + 4);
  }
}

/** The checksum of Azure Storage in the eight bytes that the service sends (little-endian). */
export function crc64(bytes: Uint8Array): Buffer {
  return Crc64.storage().update(bytes).digest();
}

function byte(from: Uint8Array, index: number): number {
  return from[index] ?? 0;
}

/** Indices are always within. Of one type of array only, for the sake of the compiler: sharing it made the whole six times slower. */
function word(from: Int32Array, index: number): number {
  return from[index] ?? 0;
}
