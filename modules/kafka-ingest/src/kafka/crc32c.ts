const POLYNOMIAL = 0x82f63b78;
const SLICES = 8;

/** 256 numbers for each of eight places: what a byte does that has so many bytes behind it. */
const table = makeTable();

/** Signed, since the engine keeps such numbers without a box of their own. */
function makeTable(): Int32Array {
  const all = new Int32Array(256 * SLICES);
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    all[byte] = crc;
  }
  for (let at = 256; at < all.length; at += 1) {
    const before = all[at - 256] ?? 0;
    all[at] = (before >>> 8) ^ (all[before & 0xff] ?? 0);
  }
  return all;
}

/** CRC-32C (Castagnoli) of the bytes from a place on, as Kafka's record batches carry it; eight bytes at a time. */
export function crc32c(bytes: Uint8Array, from: number): number {
  let crc = -1;
  let at = from;
  const byte = (place: number): number => bytes[place] ?? 0;
  const entry = (places: number, value: number): number => table[(places << 8) | value] ?? 0;
  for (const end = bytes.length - 7; at < end; at += 8) {
    crc ^= byte(at) | (byte(at + 1) << 8) | (byte(at + 2) << 16) | (byte(at + 3) << 24);
    crc =
      entry(7, crc & 0xff) ^
      entry(6, (crc >>> 8) & 0xff) ^
      entry(5, (crc >>> 16) & 0xff) ^
      entry(4, crc >>> 24) ^
      entry(3, byte(at + 4)) ^
      entry(2, byte(at + 5)) ^
      entry(1, byte(at + 6)) ^
      entry(0, byte(at + 7));
  }
  for (; at < bytes.length; at += 1) crc = (crc >>> 8) ^ entry(0, (crc ^ byte(at)) & 0xff);
  return ~crc >>> 0;
}
