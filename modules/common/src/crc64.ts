/** CRC64 by any reflected polynomial, eight bytes per step over two 32-bit halves: a BigInt per byte would be a hundred times slower. */
const SLICES = 8;

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
      const high = at(hi, (slice - 1) * 256 + byte);
      const low = at(lo, (slice - 1) * 256 + byte);
      const index = low & 0xff;
      hi[slice * 256 + byte] = (high >>> 8) ^ at(hi, index);
      lo[slice * 256 + byte] = ((low >>> 8) | (high << 24)) ^ at(lo, index);
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
    const { hi: hiTable, lo: loTable } = this.#variant;
    let hi = this.#hi;
    let lo = this.#lo;
    let offset = start;
    const whole = end - ((end - start) % SLICES);
    for (; offset < whole; offset += SLICES) {
      const a =
        lo ^
        (at(bytes, offset) |
          (at(bytes, offset + 1) << 8) |
          (at(bytes, offset + 2) << 16) |
          (at(bytes, offset + 3) << 24));
      const b =
        hi ^
        (at(bytes, offset + 4) |
          (at(bytes, offset + 5) << 8) |
          (at(bytes, offset + 6) << 16) |
          (at(bytes, offset + 7) << 24));
      const i0 = 1792 + (a & 0xff);
      const i1 = 1536 + ((a >>> 8) & 0xff);
      const i2 = 1280 + ((a >>> 16) & 0xff);
      const i3 = 1024 + (a >>> 24);
      const i4 = 768 + (b & 0xff);
      const i5 = 512 + ((b >>> 8) & 0xff);
      const i6 = 256 + ((b >>> 16) & 0xff);
      const i7 = b >>> 24;
      hi =
        at(hiTable, i0) ^
        at(hiTable, i1) ^
        at(hiTable, i2) ^
        at(hiTable, i3) ^
        at(hiTable, i4) ^
        at(hiTable, i5) ^
        at(hiTable, i6) ^
        at(hiTable, i7);
      lo =
        at(loTable, i0) ^
        at(loTable, i1) ^
        at(loTable, i2) ^
        at(loTable, i3) ^
        at(loTable, i4) ^
        at(loTable, i5) ^
        at(loTable, i6) ^
        at(loTable, i7);
    }
    for (; offset < end; offset += 1) {
      const index = (lo ^ at(bytes, offset)) & 0xff;
      lo = ((lo >>> 8) | (hi << 24)) ^ at(loTable, index);
      hi = (hi >>> 8) ^ at(hiTable, index);
    }
    this.#hi = hi;
    this.#lo = lo;
    return this;
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

/** Indices are always within; the fallback costs nothing and spares an assertion. */
function at(from: Uint8Array | Int32Array, index: number): number {
  return from[index] ?? 0;
}
