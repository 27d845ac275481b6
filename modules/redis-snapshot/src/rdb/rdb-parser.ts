import { Crc64 } from '@iotedge-redis/common';
import { LENGTH, MODULE, MODULE_TYPE, STRING, layoutOf } from './layouts.ts';
import type { Family, Step } from './layouts.ts';
import { MORE, RdbCursor } from './rdb-cursor.ts';
import { RdbFailure } from './rdb-failure.ts';
import { ValueWalker } from './value-walker.ts';

/** Where an entry begins, and all that has to be known to begin there. */
export interface RdbPlace {
  readonly family: Family;
  readonly version: number;
  readonly offset: number;
  readonly db: number;
}

/**
 * What `next` found: a key with its value, a function library, or the end of the file. `more` when the bytes given so far do
 * not reach the end of the next item.
 */
export type RdbItem = 'key' | 'function' | 'end' | 'more';

export interface RdbParserOptions {
  /** Keeps the bytes of each value for `payload`; else they are passed over, in little memory however large they are. */
  readonly keepsValues: boolean;
  /** Begins there instead of at the head of the file; the checksum is not looked at then. */
  readonly from?: RdbPlace;
}

const MAX_KEY_BYTES = 16 * 1024 * 1024;
/** An aux field is a name and a small fact; larger ones (scripts, once) are passed over. */
const MAX_AUX_BYTES = 64 * 1024;
const MAX_DATABASE = 0xffff;
/** The checksum came with this version. */
const CRC_VERSION = 5;
const MIN_VERSION = 1;

const AUX: readonly Step[] = [STRING];
const MODULE_AUX: readonly Step[] = [LENGTH, MODULE];
const FUNCTION: readonly Step[] = [STRING];
const RESIZE: readonly Step[] = [LENGTH, LENGTH];
const SLOT_INFO: readonly Step[] = [LENGTH, LENGTH, LENGTH];
/** Of Valkey: a job's name and its ranges of slots. */
const SLOT_IMPORT: readonly Step[] = [STRING, [LENGTH, LENGTH]];

type State = 'head' | 'opcode' | 'key' | 'value' | 'function' | 'passing' | 'auxValue' | 'sum' | 'end';

/**
 * Reads an RDB file piece by piece: `push` a piece, then call `next` until it says `more`. It finds where each entry ends without
 * decoding its value. After `key` or `function` the fields describe the item until the next call.
 */
export class RdbParser {
  family: Family = 'redis';
  version = 0;
  /** Facts that the writer left: `redis-ver`, `used-mem` and the like. */
  readonly aux = new Map<string, string>();
  /** Names of modules whose data beside the keys was met. */
  readonly moduleAux = new Set<string>();
  /** Number of the database that `key` belongs to. */
  db = 0;
  key: Buffer = Buffer.alloc(0);
  type = 0;
  /** Of a module's value, the name of its type. */
  moduleType: string | undefined;
  /** Milliseconds since 1970; undefined when the key stays. */
  expireAtMs: number | undefined;
  idleSeconds: number | undefined;
  frequency: number | undefined;
  /** Where the item begins, its expiry included. */
  itemOffset = 0;
  /** Bytes of the value behind the key. */
  valueBytes = 0;
  /** True when the file had a checksum and it was right, once `end` was said. */
  isVerified = false;

  readonly #cursor: RdbCursor;
  readonly #walker = new ValueWalker();
  readonly #keepsValues: boolean;
  readonly #crc: Crc64 | undefined;
  #crcPos = 0;
  #state: State = 'head';
  #isInItem = false;
  #valueStart = 0;
  /** What of the present value lies in pieces before the present one. */
  #pieces: Buffer[] = [];
  #valuePos = 0;
  #auxName = '';

  constructor(options: RdbParserOptions) {
    const { from } = options;
    this.#keepsValues = options.keepsValues;
    this.#cursor = new RdbCursor(from?.offset ?? 0);
    if (from === undefined) this.#crc = Crc64.redis();
    else {
      this.family = from.family;
      this.version = from.version;
      this.db = from.db;
      this.#state = 'opcode';
    }
  }

  /** Where the parser stands. */
  get offset(): number {
    return this.#cursor.offset;
  }

  push(piece: Buffer): void {
    const cursor = this.#cursor;
    this.#sum();
    if (this.#keepsValues && (this.#state === 'value' || this.#state === 'function')) {
      // A few bytes of a header may be left unread; they come again with the next piece.
      if (cursor.pos > this.#valuePos) this.#pieces.push(cursor.bytes.subarray(this.#valuePos, cursor.pos));
      this.#valuePos = 0;
    }
    cursor.feed(piece);
    this.#crcPos = 0;
  }

  next(): RdbItem {
    for (;;) {
      const item = this.#advance();
      if (item !== undefined) return item;
    }
  }

  /** Called when there are no more bytes: throws when the file is not at its end. */
  finish(): void {
    if (this.#state === 'end') return;
    const inside = this.#isInItem ? `, inside of the entry that begins at byte ${this.itemOffset}` : '';
    const doing = this.#state === 'head' ? 'is too short for an RDB' : `ends too early${inside}`;
    throw new RdbFailure(this.#cursor.offset + this.#cursor.left, `the file ${doing}; it was cut off`);
  }

  /** The value as it lies in the file, without the type byte, in one or several pieces. Needs `keepsValues`. */
  payload(): readonly Buffer[] {
    const { bytes, pos } = this.#cursor;
    const last = bytes.subarray(this.#valuePos, pos);
    return this.#pieces.length === 0 ? [last] : [...this.#pieces, last];
  }

  /** Appends the same to what somebody else writes, without making an object for it. */
  copyValue(to: { append(source: Buffer, start?: number, end?: number): void }): void {
    for (const piece of this.#pieces) to.append(piece);
    to.append(this.#cursor.bytes, this.#valuePos, this.#cursor.pos);
  }

  #advance(): RdbItem | undefined {
    switch (this.#state) {
      case 'head':
        return this.#head();
      case 'opcode':
        return this.#opcode();
      case 'key':
        return this.#key();
      case 'value':
        if (!this.#walker.walk(this.#cursor)) return 'more';
        return this.#itemDone('key');
      case 'function':
        if (!this.#walker.walk(this.#cursor)) return 'more';
        return this.#itemDone('function');
      case 'passing':
        if (!this.#walker.walk(this.#cursor)) return 'more';
        this.#state = 'opcode';
        return undefined;
      case 'auxValue':
        return this.#auxValue();
      case 'sum':
        return this.#checksum();
      case 'end':
        if (this.#cursor.left > 0)
          throw new RdbFailure(this.#cursor.offset, 'there are bytes behind the end of the file');
        return 'end';
    }
  }

  #head(): RdbItem | undefined {
    const cursor = this.#cursor;
    if (cursor.left < 9) return 'more';
    const head = cursor.bytes.toString('latin1', 0, 9);
    const match = /^(?:(REDIS)(\d{4})|(VALKEY)(\d{3}))$/.exec(head);
    if (match === null) throw new RdbFailure(0, 'the file does not begin with REDIS or VALKEY and a version');
    this.family = match[3] === undefined ? 'redis' : 'valkey';
    this.version = Number(match[2] ?? match[4]);
    if (this.version < MIN_VERSION) throw new RdbFailure(0, `there is no RDB version ${this.version}`);
    cursor.pass(9);
    this.#state = 'opcode';
    return undefined;
  }

  #opcode(): RdbItem | undefined {
    const cursor = this.#cursor;
    if (cursor.left === 0) return 'more';
    const code = cursor.at(cursor.pos);
    if (!this.#isInItem) this.itemOffset = cursor.offset;
    if (code < 243) return this.#type(code);
    const start = cursor.pos;
    cursor.pos += 1;
    const isTaken = this.#control(code);
    if (!isTaken) cursor.pos = start;
    return isTaken ? undefined : 'more';
  }

  /** What stands between the keys, or before one. False when it is not all there yet. */
  #control(code: number): boolean {
    const cursor = this.#cursor;
    const at = cursor.offset - 1;
    if (this.#isInItem && ![248, 249, 252, 253].includes(code))
      throw new RdbFailure(at, `a key is expected, and the opcode ${code} found`);
    switch (code) {
      case 255:
        this.#state = 'sum';
        return true;
      case 254:
        return this.#select();
      case 253:
      case 252:
        return this.#expiry(code === 252 ? 8 : 4);
      case 251:
        return this.#passing(RESIZE);
      case 250:
        return this.#auxField();
      case 249:
        if (cursor.left === 0) return false;
        this.frequency = cursor.byte();
        this.#isInItem = true;
        return true;
      case 248: {
        const idle = cursor.count();
        if (idle === MORE) return false;
        this.idleSeconds = idle;
        this.#isInItem = true;
        return true;
      }
      case 247:
        return this.#moduleData();
      case 245:
        this.#isInItem = true;
        this.#beginValue('function', FUNCTION);
        return true;
      case 244:
        return this.#passing(SLOT_INFO);
      case 243:
        if (this.family === 'valkey') return this.#passing(SLOT_IMPORT);
        throw new RdbFailure(at, 'a key has metadata of modules (opcode 243), which cannot be imported');
      default:
        throw new RdbFailure(
          at,
          'a function library is in the form of a release candidate of Redis 7.0, which no server loads any more',
        );
    }
  }

  #select(): boolean {
    const cursor = this.#cursor;
    const at = cursor.offset;
    const db = cursor.count();
    if (db === MORE) return false;
    if (db > MAX_DATABASE) throw new RdbFailure(at, `there is no database ${db}`);
    this.db = db;
    return true;
  }

  #expiry(size: 4 | 8): boolean {
    const cursor = this.#cursor;
    if (cursor.left < size) return false;
    const { bytes, pos } = cursor;
    this.expireAtMs = size === 8 ? Number(bytes.readBigInt64LE(pos)) : bytes.readInt32LE(pos) * 1000;
    cursor.pass(size);
    this.#isInItem = true;
    return true;
  }

  #passing(steps: readonly Step[]): boolean {
    this.#walker.begin(steps);
    this.#state = 'passing';
    return true;
  }

  #auxField(): boolean {
    const name = this.#cursor.string(MAX_AUX_BYTES);
    if (name === undefined) return false;
    this.#auxName = name.toString('latin1');
    // Only these are used; anybody may write others, of any size.
    if (!KNOWN_AUX.has(this.#auxName)) return this.#passing(AUX);
    this.#state = 'auxValue';
    return true;
  }

  #auxValue(): RdbItem | undefined {
    const value = this.#cursor.string(MAX_AUX_BYTES);
    if (value === undefined) return 'more';
    this.aux.set(this.#auxName, value.toString('latin1'));
    this.#state = 'opcode';
    return undefined;
  }

  #moduleData(): boolean {
    const name = this.#moduleName();
    if (name === undefined) return false;
    if (this.moduleAux.size < 100) this.moduleAux.add(name);
    return this.#passing(MODULE_AUX);
  }

  /** Looks at the name of a module's type, without passing it: nine characters of six bits each, and ten bits of version. */
  #moduleName(): string | undefined {
    const cursor = this.#cursor;
    const { pos } = cursor;
    if (cursor.left < 9) return undefined;
    const first = cursor.at(pos);
    // Every name has its first bits set, and so takes the longest form of a length.
    if (first !== 0x81) throw new RdbFailure(cursor.offset, 'a module has no name');
    const id = cursor.bytes.readBigUInt64BE(pos + 1);
    let name = '';
    for (let shift = 58n; shift >= 10n; shift -= 6n)
      name += MODULE_LETTERS[Number((id >> shift) & 63n)] ?? '';
    return name;
  }

  #type(type: number): RdbItem | undefined {
    const cursor = this.#cursor;
    if (layoutOf(this.family, type) === undefined) {
      throw new RdbFailure(
        cursor.offset,
        `an entry has the type ${type}, which is not known to this version of the module (file of ${this.family}, RDB version ${this.version})`,
      );
    }
    this.type = type;
    this.#isInItem = true;
    cursor.pos += 1;
    this.#state = 'key';
    return undefined;
  }

  #key(): RdbItem | undefined {
    const cursor = this.#cursor;
    const { pos } = cursor;
    const key = cursor.string(MAX_KEY_BYTES);
    if (key === undefined) return 'more';
    this.moduleType = undefined;
    if (this.type === MODULE_TYPE) {
      const name = this.#moduleName();
      if (name === undefined) {
        cursor.pos = pos;
        return 'more';
      }
      this.moduleType = name;
    }
    this.key = key;
    this.#beginValue('value', layoutOf(this.family, this.type) ?? []);
    return undefined;
  }

  #beginValue(state: 'value' | 'function', steps: readonly Step[]): void {
    this.#walker.begin(steps);
    this.#state = state;
    this.#pieces = [];
    this.#valuePos = this.#cursor.pos;
    this.#valueStart = this.#cursor.offset;
  }

  #itemDone(item: 'key' | 'function'): RdbItem {
    this.valueBytes = this.#cursor.offset - this.#valueStart;
    this.#state = 'opcode';
    this.#isInItem = false;
    return item;
  }

  /** Forgets what was said of the item before; to be called once the item is done with. */
  clear(): void {
    this.expireAtMs = undefined;
    this.idleSeconds = undefined;
    this.frequency = undefined;
    this.#pieces = [];
  }

  #checksum(): RdbItem | undefined {
    const cursor = this.#cursor;
    if (this.version < CRC_VERSION) {
      this.#state = 'end';
      return undefined;
    }
    if (cursor.left < 8) return 'more';
    this.#sum();
    const stated = cursor.bytes.subarray(cursor.pos, cursor.pos + 8);
    // Zero says that the writer was told not to make one (rdbchecksum no).
    const isStated = stated.some((byte) => byte !== 0);
    if (this.#crc !== undefined && isStated && !this.#crc.digest().equals(stated))
      throw new RdbFailure(cursor.offset, 'the checksum of the file is wrong; it was damaged or cut');
    this.isVerified = this.#crc !== undefined && isStated;
    cursor.pass(8);
    this.#crcPos = cursor.pos;
    this.#state = 'end';
    return undefined;
  }

  /** The checksum goes up to where the parser stands. */
  #sum(): void {
    const { bytes, pos } = this.#cursor;
    if (this.#state !== 'end') this.#crc?.update(bytes, this.#crcPos, pos);
    this.#crcPos = pos;
  }
}

const MODULE_LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

const KNOWN_AUX: ReadonlySet<string> = new Set([
  'redis-ver',
  'valkey-ver',
  'redis-bits',
  'ctime',
  'used-mem',
]);
