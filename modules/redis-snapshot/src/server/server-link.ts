import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { SuiteError, classifyRedisError, deadline, formatPlace, readTlsFiles } from '@iotedge-redis/common';
import type { RedisPlace, RedisTarget } from '@iotedge-redis/common';
import { SocketIntake } from './socket-intake.ts';

/** What a server answered: text and bulk strings as bytes, numbers, arrays of these, null. */
export type Reply = Buffer | number | null | readonly Reply[];

export type LinkTarget = Pick<
  RedisTarget,
  'username' | 'password' | 'tls' | 'commandTimeoutMs' | 'connectTimeoutMs'
>;

export interface LinkOptions {
  readonly place: RedisPlace;
  readonly target: LinkTarget;
  readonly signal: AbortSignal;
}

const MAX_LINE_BYTES = 1024 * 1024;
/** The server sends a line break every 10 s at least while it has nothing to say. */
const SILENCE_MS = 60_000;
const MAX_REPLY_DEPTH = 8;

/** A bare connection to one Redis server, for what no client library does: acting as a replica. */
export class ServerLink {
  /** For texts. */
  readonly name: string;
  readonly #options: LinkOptions;
  readonly #socket: Socket;
  readonly #intake: SocketIntake;
  #rest: Buffer = Buffer.alloc(0);

  private constructor(options: LinkOptions, { socket, intake }: Opened) {
    this.#options = options;
    this.name = formatPlace(options.place);
    this.#socket = socket;
    this.#intake = intake;
    const stop = (): void =>
      void socket.destroy(new SuiteError('STOPPED', `talking to ${this.name}: stopped`));
    socket.on('close', () => options.signal.removeEventListener('abort', stop));
    if (options.signal.aborted) stop();
    else options.signal.addEventListener('abort', stop, { once: true });
  }

  /** Connects and signs in. */
  static async open(options: LinkOptions): Promise<ServerLink> {
    const { place, target, signal } = options;
    const name = formatPlace(place);
    const connection = await deadline(
      opened(place, target),
      target.connectTimeoutMs,
      signal,
      () => new SuiteError('REDIS_TIMEOUT', `connecting to ${name}: no answer in time`, { retryable: true }),
    ).catch((error: unknown) => {
      throw classifyRedisError(error, `connecting to ${name}`);
    });
    const link = new ServerLink(options, connection);
    try {
      const { username, password } = target;
      if (password !== undefined)
        await link.call('signing in', ['AUTH', ...(username === undefined ? [] : [username]), password]);
      return link;
    } catch (error) {
      link.close();
      throw error;
    }
  }

  /** One command and its reply. `doing` is a gerund for texts. */
  async call(doing: string, command: readonly (string | Buffer)[]): Promise<Reply> {
    this.send(command);
    return this.reply(doing);
  }

  send(command: readonly (string | Buffer)[]): void {
    this.#socket.write(encode(command));
  }

  /** Commands in the protocol's own form. */
  write(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  /** Several commands in one write; as many replies have to be taken. */
  sendAll(commands: readonly (readonly (string | Buffer)[])[]): void {
    this.#socket.write(Buffer.concat(commands.map(encode)));
  }

  /** The next reply; an error reply is thrown as a SuiteError, and the one behind it can still be taken. */
  async reply(doing: string): Promise<Reply> {
    const { commandTimeoutMs } = this.#options.target;
    try {
      const answer = await this.#reply(commandTimeoutMs, 0);
      if (answer instanceof Error) throw answer;
      return answer;
    } catch (error) {
      throw classifyRedisError(error, `${doing} at ${this.name}`);
    }
  }

  /**
   * Whatever came in, at least one byte; undefined when the server closed the connection. With `everyMs` what comes in small pieces is
   * taken together, that far apart.
   */
  async read({ silenceMs = SILENCE_MS, everyMs = 0 } = {}): Promise<Buffer | undefined> {
    if (this.#rest.length > 0) {
      const rest = this.#rest;
      this.#rest = Buffer.alloc(0);
      return rest;
    }
    try {
      return await this.#chunk(silenceMs, everyMs);
    } catch (error) {
      throw classifyRedisError(error, `receiving from ${this.name}`);
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  async #chunk(silenceMs: number, everyMs = 0): Promise<Buffer | undefined> {
    const late = (): Error => {
      this.close();
      return new SuiteError('REDIS_TIMEOUT', `nothing came for ${silenceMs} ms`, { retryable: true });
    };
    return this.#intake.next({ silenceMs, everyMs, late });
  }

  async #more(timeoutMs: number): Promise<Buffer> {
    const chunk = await this.#chunk(timeoutMs);
    if (chunk === undefined)
      throw new SuiteError('REDIS_UNAVAILABLE', 'the server closed the connection', { retryable: true });
    return chunk;
  }

  async #line(timeoutMs: number): Promise<string> {
    for (let from = 0; ;) {
      const end = this.#rest.indexOf(0x0a, from);
      if (end >= 0) {
        const line = this.#rest.toString('latin1', 0, end).replace(/\r$/, '');
        this.#rest = this.#rest.subarray(end + 1);
        return line;
      }
      from = this.#rest.length;
      if (from > MAX_LINE_BYTES) throw foreign();
      this.#rest = Buffer.concat([this.#rest, await this.#more(timeoutMs)]);
    }
  }

  async #bytes(count: number, timeoutMs: number): Promise<Buffer> {
    const parts = [this.#rest];
    let have = this.#rest.length;
    while (have < count) {
      const part = await this.#more(timeoutMs);
      parts.push(part);
      have += part.length;
    }
    const all = parts.length === 1 ? this.#rest : Buffer.concat(parts, have);
    this.#rest = all.subarray(count);
    return all.subarray(0, count);
  }

  async #reply(timeoutMs: number, depth: number): Promise<Reply | Error> {
    const line = await this.#line(timeoutMs);
    const value = line.slice(1);
    switch (line[0]) {
      case '+':
        return Buffer.from(value, 'latin1');
      case '-':
        return replyError(value);
      case ':':
        return Number(value);
      case '$': {
        const length = Number(value);
        if (length < 0) return null;
        if (!Number.isSafeInteger(length)) throw foreign();
        const bytes = await this.#bytes(length + 2, timeoutMs);
        return bytes.subarray(0, length);
      }
      case '*': {
        const items: Reply[] = [];
        if (depth > MAX_REPLY_DEPTH) throw foreign();
        for (let left = Number(value); left > 0; left -= 1) {
          const item = await this.#reply(timeoutMs, depth + 1);
          if (item instanceof Error) throw item;
          items.push(item);
        }
        return items;
      }
      default:
        throw foreign();
    }
  }
}

interface Opened {
  readonly socket: Socket;
  readonly intake: SocketIntake;
}

function opened(place: RedisPlace, target: LinkTarget): Promise<Opened> {
  return new Promise((resolve, reject) => {
    const tls = target.tls === undefined ? undefined : readTlsFiles('REDIS', target.tls);
    const intake = new SocketIntake({ isTls: tls !== undefined });
    const options = { host: place.host, port: place.port, onread: intake.onread };
    const servername = isIP(place.host) === 0 ? { servername: place.host } : {};
    const socket = tls === undefined ? connect(options) : connectTls({ ...options, ...servername, ...tls });
    intake.attach(socket);
    socket.setNoDelay(true);
    socket.once('error', reject);
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => {
      socket.removeListener('error', reject);
      resolve({ socket, intake });
    });
  });
}

function encode(command: readonly (string | Buffer)[]): Buffer {
  const parts: Buffer[] = [Buffer.from(`*${command.length}\r\n`)];
  for (const part of command) {
    const bytes = typeof part === 'string' ? Buffer.from(part) : part;
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, CRLF);
  }
  return Buffer.concat(parts);
}

const CRLF = Buffer.from('\r\n');

/** In the form that `classifyRedisError` knows from the client library. */
export function replyError(text: string): Error {
  const error = new Error(text);
  error.name = 'ReplyError';
  return error;
}

export function foreign(): SuiteError {
  return new SuiteError(
    'REDIS_UNAVAILABLE',
    'what answers there is not Redis; check host, port and TLS of the endpoint',
    { retryable: true },
  );
}
