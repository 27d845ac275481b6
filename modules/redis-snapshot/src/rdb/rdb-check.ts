import { EntryRun } from './entry-run.ts';
import type { Family } from './layouts.ts';
import { RdbParser } from './rdb-parser.ts';

/** What one database of the file holds. */
export interface DatabaseCount {
  readonly keys: number;
  /** Of these, the ones with an expiry. */
  readonly expires: number;
}

/** What a file holds, as far as it shows without looking into the values. */
export interface RdbFacts {
  readonly family: Family;
  readonly version: number;
  /** Version of the server that wrote it, as it said itself. */
  readonly serverVersion: string | undefined;
  /** Memory in use when it was written, bytes, as the writer said. */
  readonly usedMemory: number | undefined;
  readonly bytes: number;
  /** False when the file has no checksum. */
  readonly isVerified: boolean;
  /** What this module does not know, and where; all that is counted below ends there. */
  readonly unread: string | undefined;
  readonly databases: ReadonlyMap<number, DatabaseCount>;
  readonly keys: number;
  readonly types: ReadonlySet<number>;
  readonly functions: number;
  readonly moduleTypes: ReadonlySet<string>;
  readonly moduleAux: ReadonlySet<string>;
  /** Largest value, bytes, and where its entry begins. */
  readonly largest: { readonly bytes: number; readonly offset: number };
}

/** Keys that somebody wants to be told of, with the parser standing behind the entry. */
export interface WatchedKeys {
  readonly prefix: Buffer;
  visit(parser: RdbParser): void;
}

export interface RdbCheckOptions {
  readonly watched?: WatchedKeys;
  /** Takes a file also when it holds what this module does not know, if its checksum is right. */
  readonly passesUnknown?: boolean;
}

/** Checks a file that comes piece by piece, and counts what it holds. Throws RdbFailure where it is wrong. */
export class RdbCheck {
  readonly #parser: RdbParser;
  readonly #databases = new Map<number, { keys: number; expires: number }>();
  readonly #run: EntryRun;
  readonly #moduleTypes = new Set<string>();
  readonly #watched: WatchedKeys | undefined;
  #functions = 0;
  #count = 0;
  #largest = { bytes: 0, offset: 0 };
  #counted = { db: -1, count: { keys: 0, expires: 0 } };

  constructor({ watched, passesUnknown = false }: RdbCheckOptions = {}) {
    this.#parser = new RdbParser({ keepsValues: false, passesUnknown });
    this.#watched = watched;
    this.#run = new EntryRun(watched?.prefix);
  }

  /** Takes the next piece of the file; what is left of the one before was kept. */
  push(piece: Buffer): void {
    const parser = this.#parser;
    parser.push(piece);
    for (;;) {
      this.#keys(parser);
      const item = parser.next();
      if (item === 'more' || item === 'end') return;
      if (item === 'function') this.#functions += 1;
      else this.#key(parser);
      parser.clear();
    }
  }

  /** To be called behind the last piece. */
  finish(): RdbFacts {
    const parser = this.#parser;
    parser.finish();
    const usedMemory = Number(parser.aux.get('used-mem') ?? Number.NaN);
    return {
      family: parser.family,
      version: parser.version,
      serverVersion: parser.aux.get('valkey-ver') ?? parser.aux.get('redis-ver'),
      usedMemory: Number.isSafeInteger(usedMemory) && usedMemory > 0 ? usedMemory : undefined,
      bytes: parser.offset,
      isVerified: parser.isVerified,
      unread: parser.unread,
      databases: this.#databases,
      keys: this.#count,
      types: new Set([...this.#run.types.keys()].filter((type) => this.#run.types[type] === 1)),
      functions: this.#functions,
      moduleTypes: this.#moduleTypes,
      moduleAux: parser.moduleAux,
      largest: this.#largest,
    };
  }

  /** Of the entries from here on, those that can be counted at once. */
  #keys(parser: RdbParser): void {
    const run = this.#run;
    const { offset } = parser;
    if (!parser.pass(run)) return;
    this.#add(parser.db, run.keys, run.expires);
    this.#compare(run.largestBytes, offset + run.largestAt);
  }

  #key(parser: RdbParser): void {
    const { type, moduleType } = parser;
    this.#add(parser.db, 1, parser.expireAtMs === undefined ? 0 : 1);
    this.#compare(parser.valueBytes, parser.itemOffset);
    this.#run.types[type] = 1;
    if (moduleType !== undefined && this.#moduleTypes.size < 100) this.#moduleTypes.add(moduleType);
    if (this.#watched !== undefined && parser.keyBegins(this.#watched.prefix)) this.#watched.visit(parser);
  }

  #add(db: number, keys: number, expires: number): void {
    if (this.#counted.db !== db) {
      const count = this.#databases.get(db) ?? { keys: 0, expires: 0 };
      this.#databases.set(db, count);
      this.#counted = { db, count };
    }
    this.#count += keys;
    this.#counted.count.keys += keys;
    this.#counted.count.expires += expires;
  }

  #compare(bytes: number, offset: number): void {
    if (bytes > this.#largest.bytes) this.#largest = { bytes, offset };
  }
}
