import { EXPIRES_AT_MS } from './between-entries.ts';
import { LENGTH, STRING, TYPES } from './layouts.ts';
import type { FlatLayout } from './layouts.ts';

/** The longest that stands in front of a key, or of a value, in the forms that are read here. */
const HEAD_BYTES = 16;
const NONE = -1;

/**
 * Entries that follow each other whole in one piece of a file, with a value in which nothing is nested: nearly all of most files. They
 * are counted at several times the speed of a reader that may be interrupted at any byte; everything else is left to that reader.
 */
export class EntryRun {
  keys = 0;
  /** Of these, the ones with an expiry. */
  expires = 0;
  /** Largest value, bytes, and how far behind the beginning of the run its entry begins. */
  largestBytes = 0;
  largestAt = 0;
  /** 1 for each type that was met in any run. */
  readonly types = new Uint8Array(TYPES);
  readonly #left: Buffer;

  /** Keys that begin with `left` are left to the reader as well. */
  constructor(left: Buffer | undefined) {
    this.#left = left ?? Buffer.alloc(0);
  }

  /** Counts what there is from `start` on, and returns the place behind it. */
  scan(bytes: Buffer, start: number, layouts: readonly (FlatLayout | undefined)[]): number {
    this.keys = 0;
    this.expires = 0;
    this.largestBytes = 0;
    const safe = bytes.length - HEAD_BYTES;
    let pos = start;
    while (pos < safe) {
      const expires = byte(bytes, pos) === EXPIRES_AT_MS;
      const typeAt = expires ? pos + 9 : pos;
      const type = byte(bytes, typeAt);
      const layout = layouts[type];
      if (layout === undefined || this.#isLeft(bytes, typeAt + 1)) break;
      const value = endOfString(bytes, typeAt + 1, false);
      if (value === NONE || value > safe) break;
      const end = layout.isCounted
        ? endOfParts(bytes, value, safe, layout.parts)
        : endOfString(bytes, value, true);
      if (end === NONE || end > bytes.length) break;
      this.keys += 1;
      if (expires) this.expires += 1;
      this.types[type] = 1;
      if (end - value > this.largestBytes) {
        this.largestBytes = end - value;
        this.largestAt = pos - start;
      }
      pos = end;
    }
    return pos;
  }

  #isLeft(bytes: Buffer, at: number): boolean {
    const left = this.#left;
    // Most differ in the first byte, which is cheaper than a call.
    const from = byte(bytes, at) < 0x40 ? at + 1 : at + 2;
    if (bytes[from] !== left[0]) return false;
    const end = from + left.length;
    return end > bytes.length || left.compare(bytes, from, end) === 0;
  }
}

/** Where a string ends that begins there; NONE for one in a form that is rare. A packed key has to be unpacked to be known. */
function endOfString(bytes: Buffer, at: number, mayBePacked: boolean): number {
  const first = byte(bytes, at);
  if (first < 0x40) return at + 1 + first;
  if (first < 0x80) return at + 2 + (((first & 0x3f) << 8) | byte(bytes, at + 1));
  if (first >= 0xc0 && first <= 0xc2) return at + 1 + (1 << (first & 3));
  if (first !== 0xc3 || !mayBePacked) return NONE;
  const packed = byte(bytes, at + 1);
  const isLong = packed >= 0x40;
  if (packed >= 0x80) return NONE;
  const size = isLong ? ((packed & 0x3f) << 8) | byte(bytes, at + 2) : packed;
  const unpackedAt = isLong ? at + 3 : at + 2;
  const unpacked = byte(bytes, unpackedAt);
  if (unpacked >= 0x80) return NONE;
  return unpackedAt + (unpacked >= 0x40 ? 2 : 1) + size;
}

/** The same of what is repeated as often as the number there says. */
function endOfParts(bytes: Buffer, at: number, safe: number, parts: readonly number[]): number {
  const first = byte(bytes, at);
  if (first >= 0x80) return NONE;
  const count = first < 0x40 ? first : ((first & 0x3f) << 8) | byte(bytes, at + 1);
  let end = at + (first < 0x40 ? 1 : 2);
  for (let round = 0; round < count; round += 1) {
    for (const part of parts) {
      if (end > safe) return NONE;
      if (part === STRING) end = endOfString(bytes, end, true);
      else if (part === LENGTH) end = byte(bytes, end) < 0x40 ? end + 1 : NONE;
      else end += part;
      if (end === NONE) return NONE;
    }
  }
  return end;
}

/** Indices are within. */
function byte(bytes: Buffer, index: number): number {
  return bytes[index] ?? 0;
}
