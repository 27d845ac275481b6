import { LENGTH, MODULE, STRING } from './layouts.ts';
import type { Family, Step } from './layouts.ts';
import { moduleTypeName } from './module-type-name.ts';
import { MORE } from './rdb-cursor.ts';
import type { RdbCursor } from './rdb-cursor.ts';
import { RdbFailure } from './rdb-failure.ts';

/** The first opcode; smaller numbers are types of entries. */
export const FIRST_OPCODE = 243;
const SLOT_IMPORT_OR_METADATA = 243;
const SLOT_INFO = 244;
const FUNCTION = 245;
const MODULE_AUX = 247;
const IDLE = 248;
const FREQUENCY = 249;
const AUX = 250;
const RESIZE = 251;
export const EXPIRES_AT_MS = 252;
const EXPIRES_AT_SECONDS = 253;
const SELECT = 254;
export const END = 255;

/** An aux field is a name and a small fact; larger ones (scripts, once) are passed over. */
const MAX_AUX_BYTES = 64 * 1024;
const MAX_AUX_NAMES = 100;
const MAX_DATABASE = 0xffff;

/** What lies behind the opcodes that are passed over. */
const LAYOUTS = {
  aux: [STRING],
  moduleAux: [LENGTH, MODULE],
  resize: [LENGTH, LENGTH],
  slotInfo: [LENGTH, LENGTH, LENGTH],
  /** Of Valkey: a job's name and its ranges of slots. */
  slotImport: [STRING, [LENGTH, LENGTH]],
} satisfies Readonly<Record<string, readonly Step[]>>;

/** Only these are used; anybody may write others, of any size. */
const KNOWN_AUX: ReadonlySet<string> = new Set([
  'redis-ver',
  'valkey-ver',
  'redis-bits',
  'ctime',
  'used-mem',
]);

/**
 * What became of an opcode: `more` is not all there yet, and nothing was taken; `taken` is done with; `entry` says something of the entry
 * that follows; `pass` has `passing` behind it; `auxValue` wants a call of `auxValue`; a `function` library follows; `metadata` of a key
 * follow, which this module does not read; `sum`: the file's end.
 */
export type Taken = 'more' | 'taken' | 'entry' | 'pass' | 'auxValue' | 'function' | 'metadata' | 'sum';

/** Reads what stands between the entries of a file, or in front of one. */
export class BetweenEntries {
  /** Facts that the writer left: `redis-ver`, `used-mem` and the like. */
  readonly aux = new Map<string, string>();
  /** Names of modules whose data beside the keys was met. */
  readonly moduleAux = new Set<string>();
  db = 0;
  /** Of the entry that follows: milliseconds since 1970; undefined when the key stays. */
  expireAtMs: number | undefined;
  idleSeconds: number | undefined;
  frequency: number | undefined;
  passing: readonly Step[] = [];
  readonly #cursor: RdbCursor;
  #auxName = '';

  constructor(cursor: RdbCursor) {
    this.#cursor = cursor;
  }

  /** The cursor stands on the opcode. `isInEntry`: something was said of the next entry already. */
  take(family: Family, isInEntry: boolean): Taken {
    const cursor = this.#cursor;
    const start = cursor.pos;
    const taken = this.#take(cursor.byte(), family, isInEntry);
    if (taken === 'more') cursor.pos = start;
    return taken;
  }

  /** False when the value is not all there yet. */
  auxValue(): boolean {
    const value = this.#cursor.string(MAX_AUX_BYTES);
    if (value === undefined) return false;
    this.aux.set(this.#auxName, value.toString('latin1'));
    return true;
  }

  /** The entry is done with. */
  clear(): void {
    this.expireAtMs = undefined;
    this.idleSeconds = undefined;
    this.frequency = undefined;
  }

  #take(code: number, family: Family, isInEntry: boolean): Taken {
    const at = this.#cursor.offset - 1;
    const isMetadata = code === SLOT_IMPORT_OR_METADATA && family === 'redis';
    const isOfEntry =
      isMetadata ||
      code === EXPIRES_AT_MS ||
      code === EXPIRES_AT_SECONDS ||
      code === IDLE ||
      code === FREQUENCY;
    if (isInEntry && !isOfEntry) throw new RdbFailure(at, `a key is expected, and the opcode ${code} found`);
    switch (code) {
      case END:
        return 'sum';
      case SELECT:
        return this.#select();
      case EXPIRES_AT_MS:
        return this.#expiry(8);
      case EXPIRES_AT_SECONDS:
        return this.#expiry(4);
      case RESIZE:
        return this.#pass(LAYOUTS.resize);
      case AUX:
        return this.#auxField();
      case FREQUENCY:
      case IDLE:
        return this.#age(code);
      case MODULE_AUX:
        return this.#moduleData();
      case FUNCTION:
        return 'function';
      case SLOT_INFO:
        return this.#pass(LAYOUTS.slotInfo);
      case SLOT_IMPORT_OR_METADATA:
        return isMetadata ? 'metadata' : this.#pass(LAYOUTS.slotImport);
      default:
        throw new RdbFailure(
          at,
          'a function library is in the form of a release candidate of Redis 7.0, which no server loads any more',
        );
    }
  }

  #pass(steps: readonly Step[]): Taken {
    this.passing = steps;
    return 'pass';
  }

  #select(): Taken {
    const cursor = this.#cursor;
    const at = cursor.offset;
    const db = cursor.count();
    if (db === MORE) return 'more';
    if (db > MAX_DATABASE) throw new RdbFailure(at, `there is no database ${db}`);
    this.db = db;
    return 'taken';
  }

  #expiry(size: 4 | 8): Taken {
    const cursor = this.#cursor;
    if (cursor.left < size) return 'more';
    const { bytes, pos } = cursor;
    const low = bytes.readUInt32LE(pos);
    // A BigInt for each key would be an object for each key.
    this.expireAtMs =
      size === 8 ? bytes.readInt32LE(pos + 4) * 0x1_0000_0000 + low : bytes.readInt32LE(pos) * 1000;
    cursor.pass(size);
    return 'entry';
  }

  #age(code: number): Taken {
    const cursor = this.#cursor;
    const age = code === FREQUENCY ? cursor.byte() : cursor.count();
    if (age === MORE) return 'more';
    if (code === FREQUENCY) this.frequency = age;
    else this.idleSeconds = age;
    return 'entry';
  }

  #auxField(): Taken {
    const name = this.#cursor.string(MAX_AUX_BYTES);
    if (name === undefined) return 'more';
    this.#auxName = name.toString('latin1');
    return KNOWN_AUX.has(this.#auxName) ? 'auxValue' : this.#pass(LAYOUTS.aux);
  }

  #moduleData(): Taken {
    const name = moduleTypeName(this.#cursor);
    if (name === undefined) return 'more';
    if (this.moduleAux.size < MAX_AUX_NAMES) this.moduleAux.add(name);
    return this.#pass(LAYOUTS.moduleAux);
  }
}
