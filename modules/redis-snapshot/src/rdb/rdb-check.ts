import { TYPES, typeName } from './layouts.ts';
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

/** Told of each key, with the parser standing behind it. */
export type KeyVisitor = (parser: RdbParser) => void;

export interface RdbCheckOptions {
  readonly visit?: KeyVisitor;
  /** Takes a file also when it holds what this module does not know, if its checksum is right. */
  readonly passesUnknown?: boolean;
}

/** Checks a file that comes piece by piece, and counts what it holds. Throws RdbFailure where it is wrong. */
export class RdbCheck {
  readonly #parser: RdbParser;
  readonly #databases = new Map<number, { keys: number; expires: number }>();
  /** 1 for a type that was met: a set costs more for each key. */
  readonly #types = new Uint8Array(TYPES);
  readonly #moduleTypes = new Set<string>();
  readonly #visit: KeyVisitor | undefined;
  #functions = 0;
  #keys = 0;
  #largest = { bytes: 0, offset: 0 };
  #counted = { db: -1, count: { keys: 0, expires: 0 } };

  constructor({ visit, passesUnknown = false }: RdbCheckOptions = {}) {
    this.#parser = new RdbParser({ keepsValues: false, passesUnknown });
    this.#visit = visit;
  }

  /** Takes the next piece of the file; what is left of the one before was kept. */
  push(piece: Buffer): void {
    const parser = this.#parser;
    parser.push(piece);
    for (let item = parser.next(); item !== 'more' && item !== 'end'; item = parser.next()) {
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
      keys: this.#keys,
      types: new Set([...this.#types.keys()].filter((type) => this.#types[type] === 1)),
      functions: this.#functions,
      moduleTypes: this.#moduleTypes,
      moduleAux: parser.moduleAux,
      largest: this.#largest,
    };
  }

  #key(parser: RdbParser): void {
    const { db, type, valueBytes, moduleType } = parser;
    if (this.#counted.db !== db) {
      const count = this.#databases.get(db) ?? { keys: 0, expires: 0 };
      this.#databases.set(db, count);
      this.#counted = { db, count };
    }
    this.#keys += 1;
    this.#counted.count.keys += 1;
    if (parser.expireAtMs !== undefined) this.#counted.count.expires += 1;
    this.#types[type] = 1;
    if (moduleType !== undefined && this.#moduleTypes.size < 100) this.#moduleTypes.add(moduleType);
    if (valueBytes > this.#largest.bytes) this.#largest = { bytes: valueBytes, offset: parser.itemOffset };
    this.#visit?.(parser);
  }
}

/** Names of the types, for texts, each once. */
export function typeNames(types: Iterable<number>): string {
  return [...new Set([...types].map(typeName))].join(', ');
}
