import { SuiteError, classifyRedisError, deadline } from '@iotedge-redis/common';
import type { CommandBuffer, RedisTarget } from '@iotedge-redis/common';
import { ServerLink } from '../server/server-link.ts';
import { findPrimary } from '../server/topology.ts';
import { ReplyReader } from './reply-reader.ts';
import type { Replies } from './reply-reader.ts';

interface Exchange {
  readonly reader: ReplyReader;
  readonly resolve: (replies: Replies) => void;
  readonly reject: (error: Error) => void;
}

const DOING = 'restoring keys';
const NOTHING = Buffer.alloc(0);
/** Replies come at all times while there are any to come; each exchange has a limit of its own. */
const SILENCE_MS = 3_600_000;

/**
 * A connection of its own to the primary, for commands whose bytes are there already: several exchanges at once, each with its replies in
 * order. A client library makes a command and a promise of each key, which takes longer than Redis takes for the key.
 */
export class RestoreLink {
  readonly #link: ServerLink;
  #exchanges: Exchange[] = [];
  #rest: Buffer = NOTHING;
  #isReading = false;
  #isOpen = true;

  private constructor(link: ServerLink) {
    this.#link = link;
  }

  /** It is not ended by an abort: what was sent must not be executed behind what comes after it on another connection. */
  static async open(target: RedisTarget): Promise<RestoreLink> {
    const { signal } = new AbortController();
    const link = await ServerLink.open({ place: await findPrimary(target, signal), target, signal });
    try {
      if (target.db !== 0) await link.call(DOING, ['SELECT', String(target.db)]);
      return new RestoreLink(link);
    } catch (error) {
      link.close();
      throw error;
    }
  }

  /** False once a connection is lost; another one has to be opened then. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Sends the buffers, which must not be written to until this is settled. Rejects when the connection is lost or too slow. */
  exchange(buffers: readonly CommandBuffer[], timeoutMs: number): Promise<Replies> {
    const count = buffers.reduce((sum, each) => sum + each.count, 0);
    const replies = new Promise<Replies>((resolve, reject) => {
      this.#exchanges.push({ reader: new ReplyReader(count), resolve, reject });
    });
    for (const { bytes } of buffers) if (bytes.length > 0) this.#link.write(bytes);
    if (!this.#isReading) void this.#read();
    return deadline(replies, timeoutMs, undefined, () => {
      const late = new SuiteError('REDIS_TIMEOUT', `${DOING} at ${this.#link.name}: no answer in time`, {
        retryable: true,
      });
      this.#fail(late);
      return late;
    });
  }

  close(): void {
    this.#fail(new SuiteError('STOPPED', `${DOING}: stopped`));
  }

  async #read(): Promise<void> {
    this.#isReading = true;
    try {
      while (this.#exchanges.length > 0) {
        const chunk = await this.#link.read({ silenceMs: SILENCE_MS });
        if (chunk === undefined)
          throw new SuiteError('REDIS_UNAVAILABLE', 'the server closed the connection', { retryable: true });
        this.#take(chunk);
      }
    } catch (error) {
      this.#fail(classifyRedisError(error, `${DOING} at ${this.#link.name}`));
    } finally {
      this.#isReading = false;
    }
  }

  #take(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    for (let [first] = this.#exchanges; first !== undefined; [first] = this.#exchanges) {
      at = first.reader.take(bytes, at);
      if (!first.reader.isDone) break;
      this.#exchanges.shift();
      first.resolve(first.reader);
    }
    this.#rest = at === bytes.length ? NOTHING : bytes.subarray(at);
  }

  #fail(error: Error): void {
    this.#isOpen = false;
    this.#link.close();
    const exchanges = this.#exchanges;
    this.#exchanges = [];
    for (const { reject } of exchanges) reject(error);
  }
}
