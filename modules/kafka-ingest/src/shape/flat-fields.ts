import type { CallBuffer } from './call-buffer.ts';

/** Most fields that are read this way. */
const MOST = 64;
/** Digits that a double keeps whatever they are. */
const SAFE_DIGITS = 15;
/** JavaScript writes what is smaller with an exponent. */
const MOST_ZEROS = 5;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN = 0x7b;
const CLOSE = 0x7d;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const SPACE = 0x20;
const BEYOND_ASCII = 0x80;
const NOTHING = Buffer.alloc(0);

/**
 * The fields of a JSON object, found in its bytes without making anything of them. It is for what most records are: texts, numbers
 * and booleans side by side, whose bytes are the very ones to store. All else is left to a real parser: what is nested or null, escapes,
 * names that occur twice, bytes beyond ASCII, numbers that are written otherwise than JavaScript does, and text that is no JSON.
 */
export class FlatFields {
  #bytes: Buffer = NOTHING;
  #count = 0;
  /** Where the name begins and ends, and the value, of each field. */
  readonly #places = new Int32Array(MOST * 4);
  readonly #hashes = new Int32Array(MOST);

  get count(): number {
    return this.#count;
  }

  /** False when a parser has to look at it; the fields are those of the last text that was read, until the next one. */
  read(bytes: Buffer): boolean {
    this.#bytes = bytes;
    this.#count = 0;
    const places = this.#places;
    let count = 0;
    let at = skip(bytes, 0);
    if (bytes[at] !== OPEN) return false;
    do {
      const nameStart = skip(bytes, at + 1) + 1;
      if (count === MOST || bytes[nameStart - 1] !== QUOTE) return false;
      const nameEnd = textEnd(bytes, nameStart);
      if (nameEnd < 0 || this.#isKnown(bytes, nameStart, nameEnd, count)) return false;
      at = skip(bytes, nameEnd + 1);
      if (bytes[at] !== COLON) return false;
      at = skip(bytes, at + 1);
      const isText = bytes[at] === QUOTE;
      const valueStart = isText ? at + 1 : at;
      const valueEnd = isText ? textEnd(bytes, valueStart) : wordEnd(bytes, valueStart);
      if (valueEnd < 0) return false;
      const place = count * 4;
      places[place] = nameStart;
      places[place + 1] = nameEnd;
      places[place + 2] = valueStart;
      places[place + 3] = valueEnd;
      count += 1;
      at = skip(bytes, isText ? valueEnd + 1 : valueEnd);
    } while (bytes[at] === COMMA);
    if (bytes[at] !== CLOSE || skip(bytes, at + 1) !== bytes.length) return false;
    this.#count = count;
    return true;
  }

  /** Text of the field with the name. */
  text(name: string): string | undefined {
    for (let index = 0; index < this.#count; index += 1)
      if (this.#isNamed(index, name)) return this.#slice(index * 4 + 2);
    return undefined;
  }

  /** Writes their number, and name and value of each, but for those that are left out. */
  write(out: CallBuffer, excluded: ReadonlySet<string>): void {
    const bytes = this.#bytes;
    const places = this.#places;
    const isLeftOut = (index: number): boolean => excluded.size > 0 && excluded.has(this.#slice(index * 4));
    let left = this.#count;
    if (excluded.size > 0)
      for (let index = 0; index < this.#count; index += 1) if (isLeftOut(index)) left -= 1;
    out.binary(String(left * 2));
    for (let index = 0; index < this.#count; index += 1) {
      if (isLeftOut(index)) continue;
      const place = index * 4;
      out.part(bytes, places[place] ?? 0, places[place + 1] ?? 0);
      out.part(bytes, places[place + 2] ?? 0, places[place + 3] ?? 0);
    }
  }

  /** Whether all fields are left out. */
  isEmptyWithout(excluded: ReadonlySet<string>): boolean {
    for (let index = 0; index < this.#count; index += 1)
      if (excluded.size === 0 || !excluded.has(this.#slice(index * 4))) return false;
    return true;
  }

  #isNamed(index: number, name: string): boolean {
    const place = index * 4;
    const length = (this.#places[place + 1] ?? 0) - (this.#places[place] ?? 0);
    return length === name.length && this.#slice(place) === name;
  }

  #slice(place: number): string {
    return this.#bytes.toString('latin1', this.#places[place], this.#places[place + 1]);
  }

  /** Whether one of the first names may be the same: a parser would take the last of them. */
  #isKnown(bytes: Buffer, start: number, end: number, count: number): boolean {
    let hash = 0;
    for (let at = start; at < end; at += 1) hash = (Math.imul(hash, 31) + (bytes[at] ?? 0)) | 0;
    const hashes = this.#hashes;
    for (let index = 0; index < count; index += 1) if (hashes[index] === hash) return true;
    hashes[count] = hash;
    return false;
  }
}

function skip(bytes: Buffer, from: number): number {
  let at = from;
  while (at < bytes.length) {
    const byte = bytes[at] ?? 0;
    if (byte !== SPACE && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break;
    at += 1;
  }
  return at;
}

/** Where the text ends that begins here; -1 when there is more to it than plain bytes. */
function textEnd(bytes: Buffer, from: number): number {
  for (let at = from; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte === QUOTE) return at;
    if (byte < SPACE || byte >= BEYOND_ASCII || byte === BACKSLASH) return -1;
  }
  return -1;
}

/** The same of a number or boolean. */
function wordEnd(bytes: Buffer, from: number): number {
  const byte = bytes[from];
  if (byte === 0x74) return isWord(bytes, from, 'true') ? from + 4 : -1;
  if (byte === 0x66) return isWord(bytes, from, 'false') ? from + 5 : -1;
  return numberEnd(bytes, from);
}

function isWord(bytes: Buffer, from: number, word: string): boolean {
  return bytes.toString('latin1', from, from + word.length) === word;
}

/** Where a number ends that is written as JavaScript writes it. */
function numberEnd(bytes: Buffer, from: number): number {
  const start = bytes[from] === MINUS ? from + 1 : from;
  const whole = digitsEnd(bytes, start);
  const isBelowOne = bytes[start] === ZERO;
  if (whole === start || (isBelowOne && whole > start + 1)) return -1;
  let end = whole;
  if (bytes[whole] === POINT) {
    end = digitsEnd(bytes, whole + 1);
    if (end === whole + 1 || bytes[end - 1] === ZERO) return -1;
    let zeros = 0;
    while (bytes[whole + 1 + zeros] === ZERO) zeros += 1;
    if (isBelowOne && zeros > MOST_ZEROS) return -1;
  } else if (isBelowOne && start > from) {
    return -1;
  }
  const next = bytes[end] ?? 0;
  // An exponent, or no number at all: what may follow is told by who called.
  if (next === 0x65 || next === 0x45) return -1;
  return end - start <= SAFE_DIGITS || isExact(bytes.toString('latin1', from, end)) ? end : -1;
}

function isExact(number: string): boolean {
  return String(Number(number)) === number;
}

function digitsEnd(bytes: Buffer, from: number): number {
  let at = from;
  for (; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte < ZERO || byte > NINE) break;
  }
  return at;
}
