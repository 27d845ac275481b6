import { BetweenEntries, END, FIRST_OPCODE } from './between-entries.ts';
import { EntryKey } from './entry-key.ts';
import type { ByteSink } from './entry-key.ts';
import type { EntryRun } from './entry-run.ts';
import { EntryValue } from './entry-value.ts';
import { MODULE_TYPE, ONE_STRING, flatLayoutsOf, layoutsOf } from './layouts.ts';
import type { Family, Step } from './layouts.ts';
import { moduleTypeName } from './module-type-name.ts';
import { RdbCursor } from './rdb-cursor.ts';
import { RdbFailure } from './rdb-failure.ts';
import { readHead } from './rdb-head.ts';
import { RdbSum, SUM_BYTES } from './rdb-sum.ts';
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
  /**
   * Goes on to the end of the file where something is met that this module does not know, and looks at the checksum only; else that
   * is a failure. What follows the unknown part is not found.
   */
  readonly passesUnknown?: boolean;
}

type State =
  'head' | 'opcode' | 'key' | 'value' | 'function' | 'passing' | 'auxValue' | 'unread' | 'sum' | 'end';

/**
 * Reads an RDB file piece by piece: `push` a piece, then call `next` until it says `more`. It finds where each entry ends without
 * decoding its value. After `key` or `function` the fields describe the item until the next call; a key costs an object only when
 * it is asked for.
 */
export class RdbParser {
  family: Family = 'redis';
  version = 0;
  type = 0;
  /** Of a module's value, the name of its type. */
  moduleType: string | undefined;
  /** Where the item begins, its expiry included. */
  itemOffset = 0;
  /** What was met that this module does not know, and where; the rest of the file was passed over unread. */
  unread: string | undefined;

  readonly #cursor: RdbCursor;
  readonly #between: BetweenEntries;
  readonly #key: EntryKey;
  readonly #walker = new ValueWalker();
  readonly #keepsValues: boolean;
  readonly #passesUnknown: boolean;
  readonly #value: EntryValue;
  readonly #sum: RdbSum;
  #layouts = layoutsOf('redis');
  #state: State = 'head';
  #isInItem = false;

  constructor(options: RdbParserOptions) {
    const { from } = options;
    this.#keepsValues = options.keepsValues;
    this.#passesUnknown = options.passesUnknown ?? false;
    this.#cursor = new RdbCursor(from?.offset ?? 0);
    this.#between = new BetweenEntries(this.#cursor);
    this.#key = new EntryKey(this.#cursor);
    this.#value = new EntryValue(this.#cursor);
    this.#sum = new RdbSum(this.#cursor, from === undefined);
    if (from !== undefined) {
      this.family = from.family;
      this.version = from.version;
      this.#layouts = layoutsOf(from.family);
      this.#between.db = from.db;
      this.#state = 'opcode';
    }
  }

  /** Where the parser stands. */
  get offset(): number {
    return this.#cursor.offset;
  }

  /** True when the file had a checksum and it was right, once `end` was said. */
  get isVerified(): boolean {
    return this.#sum.isVerified;
  }

  /** Bytes of the value behind the key. */
  get valueBytes(): number {
    return this.#value.bytes;
  }

  /** Number of the database that the key belongs to. */
  get db(): number {
    return this.#between.db;
  }

  get aux(): ReadonlyMap<string, string> {
    return this.#between.aux;
  }

  /** Names of modules whose data beside the keys was met. */
  get moduleAux(): ReadonlySet<string> {
    return this.#between.moduleAux;
  }

  /** Milliseconds since 1970; undefined when the key stays. */
  get expireAtMs(): number | undefined {
    return this.#between.expireAtMs;
  }

  get idleSeconds(): number | undefined {
    return this.#between.idleSeconds;
  }

  get frequency(): number | undefined {
    return this.#between.frequency;
  }

  get key(): Buffer {
    return this.#key.bytes;
  }

  get keyLength(): number {
    return this.#key.length;
  }

  keyBegins(prefix: Buffer): boolean {
    return this.#key.begins(prefix);
  }

  /** The next piece of the file; what lies in the one before is not looked at any more. */
  push(piece: Buffer): void {
    this.#leave();
    this.#cursor.feed(piece);
    this.#arrive();
  }

  /** Passes over the entries that `run` counts; false when there is none to begin with. `next` goes on behind them. */
  pass(run: EntryRun): boolean {
    if (this.#state !== 'opcode' || this.#isInItem) return false;
    const cursor = this.#cursor;
    cursor.pos = run.scan(cursor.bytes, cursor.pos, flatLayoutsOf(this.family));
    return run.keys > 0;
  }

  next(): RdbItem {
    for (;;) {
      const item = this.#advance();
      if (item !== undefined && (item !== 'more' || !this.#goOn())) return item;
    }
  }

  /** Called when there are no more bytes: throws when the file is not at its end. */
  finish(): void {
    if (this.#state === 'unread') this.#endUnread();
    if (this.#state === 'end') return;
    const inside = this.#isInItem ? `, inside of the entry that begins at byte ${this.itemOffset}` : '';
    const doing = this.#state === 'head' ? 'is too short for an RDB' : `ends too early${inside}`;
    throw new RdbFailure(this.#cursor.offset + this.#cursor.left, `the file ${doing}; it was cut off`);
  }

  /** The value as it lies in the file, without the type byte, in one or several pieces. Needs `keepsValues`. */
  payload(): readonly Buffer[] {
    return this.#value.payload();
  }

  /** Appends the same to what somebody else writes. */
  copyValue(to: ByteSink): void {
    this.#value.copy(to);
  }

  copyKey(to: ByteSink): void {
    this.#key.copy(to);
  }

  /** Forgets what was said of the item before; to be called once the item is done with. */
  clear(): void {
    this.#between.clear();
    this.#value.clear();
  }

  /** The bytes that the cursor has go, all but those that were not read yet. */
  #leave(): void {
    const state = this.#state;
    if (state !== 'end') this.#sum.take();
    if (state === 'value') this.#key.hold();
    if (this.#keepsValues && (state === 'value' || state === 'function')) this.#value.hold();
  }

  #arrive(): void {
    this.#sum.goOn();
    this.#value.goOn();
  }

  #goOn(): boolean {
    if (!this.#cursor.isSeam) return false;
    this.#leave();
    this.#cursor.goOn();
    this.#arrive();
    return true;
  }

  #advance(): RdbItem | undefined {
    switch (this.#state) {
      case 'head':
        return this.#head();
      case 'opcode':
        return this.#opcode();
      case 'key':
        return this.#entry();
      case 'value':
      case 'function':
        return this.#walk(this.#state === 'value' ? 'key' : 'function');
      case 'passing':
        if (!this.#walker.walk(this.#cursor)) return 'more';
        this.#state = 'opcode';
        return undefined;
      case 'auxValue':
        if (!this.#between.auxValue()) return 'more';
        this.#state = 'opcode';
        return undefined;
      case 'unread':
        return this.#passUnread();
      case 'sum':
        return this.#checksum();
      case 'end':
        if (this.#cursor.unread > 0)
          throw new RdbFailure(this.#cursor.offset, 'there are bytes behind the end of the file');
        return 'end';
    }
  }

  #head(): RdbItem | undefined {
    const head = readHead(this.#cursor);
    if (head === undefined) return 'more';
    this.family = head.family;
    this.version = head.version;
    this.#layouts = layoutsOf(this.family);
    this.#state = 'opcode';
    return undefined;
  }

  #opcode(): RdbItem | undefined {
    const cursor = this.#cursor;
    if (cursor.left === 0) return 'more';
    const code = cursor.at(cursor.pos);
    if (!this.#isInItem) this.itemOffset = cursor.offset;
    if (code < FIRST_OPCODE) return this.#type(code);
    const taken = this.#between.take(this.family, this.#isInItem);
    switch (taken) {
      case 'more':
        return 'more';
      case 'taken':
        return undefined;
      case 'entry':
        this.#isInItem = true;
        return undefined;
      case 'pass':
        this.#walker.begin(this.#between.passing);
        this.#state = 'passing';
        return undefined;
      case 'function':
        this.#isInItem = true;
        this.#beginValue('function', ONE_STRING);
        return undefined;
      case 'metadata':
        this.#unknown('a key has metadata of modules');
        return undefined;
      case 'auxValue':
      case 'sum':
        this.#state = taken;
        return undefined;
    }
  }

  #type(type: number): RdbItem | undefined {
    const cursor = this.#cursor;
    if (this.#layouts[type] === undefined) {
      this.#unknown(`an entry has the type ${type}`);
      return undefined;
    }
    this.type = type;
    this.#isInItem = true;
    cursor.pos += 1;
    this.#state = 'key';
    return this.#entry();
  }

  #entry(): RdbItem | undefined {
    const cursor = this.#cursor;
    const { pos } = cursor;
    if (!this.#key.read()) return 'more';
    this.moduleType = undefined;
    if (this.type === MODULE_TYPE) {
      const name = moduleTypeName(cursor);
      if (name === undefined) {
        cursor.pos = pos;
        return 'more';
      }
      this.moduleType = name;
    }
    this.#beginValue('value', this.#layouts[this.type] ?? []);
    return this.#walk('key');
  }

  #beginValue(state: 'value' | 'function', steps: readonly Step[]): void {
    this.#value.begin();
    this.#walker.begin(steps === ONE_STRING && this.#cursor.passString() ? [] : steps);
    this.#state = state;
  }

  #walk(item: 'key' | 'function'): RdbItem {
    if (!this.#walker.walk(this.#cursor)) return 'more';
    this.#value.end();
    this.#state = 'opcode';
    this.#isInItem = false;
    return item;
  }

  #unknown(problem: string): void {
    const { offset } = this.#cursor;
    const what = `${problem}, which this version of the module does not read (file of ${this.family}, RDB version ${this.version})`;
    if (!this.#passesUnknown)
      throw new RdbFailure(offset, `${what}; take a newer one, or have a server load the file`);
    this.unread = `${what}, at byte ${offset}`;
    this.#state = 'unread';
  }

  /** Leaves the bytes that would be the end of the file if nothing followed. */
  #passUnread(): RdbItem {
    const cursor = this.#cursor;
    cursor.pos = Math.max(cursor.pos, cursor.bytes.length - 1 - SUM_BYTES);
    return 'more';
  }

  #endUnread(): void {
    const cursor = this.#cursor;
    if (cursor.left !== 1 + SUM_BYTES || cursor.at(cursor.pos) !== END) return;
    cursor.pos += 1;
    this.#checksum();
    if (this.isVerified) return;
    const problem = `${this.unread ?? ''}; and the file has no checksum (rdbchecksum no) that could vouch for what is not read`;
    throw new RdbFailure(cursor.offset, problem);
  }

  #checksum(): RdbItem | undefined {
    if (!this.#sum.check(this.version)) return 'more';
    this.#state = 'end';
    return undefined;
  }
}
