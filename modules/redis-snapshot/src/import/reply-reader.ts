import { foreign, replyError } from '../server/server-link.ts';

/** Replies by the number of their command, from 0 on; those that are neither here nor there were `+OK`. */
export interface Replies {
  readonly errors: ReadonlyMap<number, Error>;
  readonly values: ReadonlyMap<number, string | null>;
}

const CR = 0x0d;
const PLUS = 0x2b;
const MINUS = 0x2d;
const COLON = 0x3a;
const DOLLAR = 0x24;
const OK = Buffer.from('+OK\r\n');

/** Reads the replies to so many commands out of what a server sends. An object for each `+OK` would cost more than the command. */
export class ReplyReader implements Replies {
  readonly errors = new Map<number, Error>();
  readonly values = new Map<number, string | null>();
  readonly #count: number;
  #seen = 0;

  constructor(count: number) {
    this.#count = count;
  }

  get isDone(): boolean {
    return this.#seen === this.#count;
  }

  /** Takes whole replies from `start` on; where the first one begins that is not whole, or no longer one of these. */
  take(bytes: Buffer, start: number): number {
    let at = start;
    while (this.#seen < this.#count && at < bytes.length) {
      if (isOk(bytes, at)) {
        this.#seen += 1;
        at += OK.length;
        continue;
      }
      const next = this.#other(bytes, at);
      if (next === undefined) break;
      this.#seen += 1;
      at = next;
    }
    return at;
  }

  /** Where the next reply begins. */
  #other(bytes: Buffer, at: number): number | undefined {
    const end = bytes.indexOf(CR, at);
    if (end < 0 || end + 1 >= bytes.length) return undefined;
    const line = bytes.toString('utf8', at + 1, end);
    const next = end + 2;
    switch (bytes[at]) {
      case MINUS:
        this.errors.set(this.#seen, replyError(line));
        return next;
      case PLUS:
      case COLON:
        this.values.set(this.#seen, line);
        return next;
      case DOLLAR: {
        const size = Number(line);
        if (!Number.isSafeInteger(size)) throw foreign();
        if (size < 0) {
          this.values.set(this.#seen, null);
          return next;
        }
        if (next + size + 2 > bytes.length) return undefined;
        this.values.set(this.#seen, bytes.toString('utf8', next, next + size));
        return next + size + 2;
      }
      default:
        throw foreign();
    }
  }
}

function isOk(bytes: Buffer, at: number): boolean {
  return (
    bytes[at + 1] === 0x4f &&
    bytes[at] === PLUS &&
    bytes[at + 2] === 0x4b &&
    bytes[at + 3] === CR &&
    at + OK.length <= bytes.length
  );
}
