/** The CRC64 of Azure Storage: reflected polynomial 0x9A6C9329AC4BC9B5, all ones before and after. */
const POLY_HI = 0x9a6c9329;
const POLY_LO = 0xac4bc9b5;
const SLICES = 8;

const HI = new Uint32Array(SLICES * 256);
const LO = new Uint32Array(SLICES * 256);

function fillTables(): void {
  for (let byte = 0; byte < 256; byte += 1) {
    let hi = 0;
    let lo = byte;
    for (let bit = 0; bit < 8; bit += 1) {
      const isOdd = (lo & 1) === 1;
      lo = ((lo >>> 1) | (hi << 31)) >>> 0;
      hi >>>= 1;
      if (isOdd) {
        hi = (hi ^ POLY_HI) >>> 0;
        lo = (lo ^ POLY_LO) >>> 0;
      }
    }
    HI[byte] = hi;
    LO[byte] = lo;
  }
  for (let slice = 1; slice < SLICES; slice += 1) {
    for (let byte = 0; byte < 256; byte += 1) {
      const hi = HI[(slice - 1) * 256 + byte] ?? 0;
      const lo = LO[(slice - 1) * 256 + byte] ?? 0;
      const index = lo & 0xff;
      HI[slice * 256 + byte] = (hi >>> 8) ^ (HI[index] ?? 0);
      LO[slice * 256 + byte] = ((lo >>> 8) | (hi << 24)) ^ (LO[index] ?? 0);
    }
  }
}
fillTables();

/**
 * Checksum in the eight bytes that the service sends (little-endian). Eight bytes per step over two 32-bit halves, since a
 * BigInt per byte would be a hundred times slower.
 */
export function crc64(bytes: Uint8Array): Buffer {
  const hiTable = HI;
  const loTable = LO;
  let hi = 0xffffffff;
  let lo = 0xffffffff;
  let at = 0;
  const whole = bytes.length - (bytes.length % SLICES);
  for (; at < whole; at += SLICES) {
    const a =
      lo ^
      (at1(bytes, at) | (at1(bytes, at + 1) << 8) | (at1(bytes, at + 2) << 16) | (at1(bytes, at + 3) << 24));
    const b =
      hi ^
      (at1(bytes, at + 4) |
        (at1(bytes, at + 5) << 8) |
        (at1(bytes, at + 6) << 16) |
        (at1(bytes, at + 7) << 24));
    const i0 = 1792 + (a & 0xff);
    const i1 = 1536 + ((a >>> 8) & 0xff);
    const i2 = 1280 + ((a >>> 16) & 0xff);
    const i3 = 1024 + (a >>> 24);
    const i4 = 768 + (b & 0xff);
    const i5 = 512 + ((b >>> 8) & 0xff);
    const i6 = 256 + ((b >>> 16) & 0xff);
    const i7 = b >>> 24;
    hi =
      at1(hiTable, i0) ^
      at1(hiTable, i1) ^
      at1(hiTable, i2) ^
      at1(hiTable, i3) ^
      at1(hiTable, i4) ^
      at1(hiTable, i5) ^
      at1(hiTable, i6) ^
      at1(hiTable, i7);
    lo =
      at1(loTable, i0) ^
      at1(loTable, i1) ^
      at1(loTable, i2) ^
      at1(loTable, i3) ^
      at1(loTable, i4) ^
      at1(loTable, i5) ^
      at1(loTable, i6) ^
      at1(loTable, i7);
  }
  for (; at < bytes.length; at += 1) {
    const index = (lo ^ at1(bytes, at)) & 0xff;
    lo = ((lo >>> 8) | (hi << 24)) ^ at1(loTable, index);
    hi = (hi >>> 8) ^ at1(hiTable, index);
  }
  const sum = Buffer.allocUnsafe(8);
  sum.writeInt32LE(~lo, 0);
  sum.writeInt32LE(~hi, 4);
  return sum;
}

function at1(from: Uint8Array | Uint32Array, index: number): number {
  return from[index] ?? 0;
}
