import { Socket } from 'node:net';
import { Command } from 'ioredis';
import type { CommandBuffer } from './command-buffer.ts';
import type { RedisClient } from './redis-clients.ts';

const NOTHING = Buffer.alloc(0);
/** For the commands of a buffer behind the first one, whose bytes went out with it. */
class Nowhere extends Socket {
  override write(): boolean {
    return true;
  }
}
const NOWHERE = new Nowhere();

/**
 * Commands whose bytes are there already. The library takes it for one command after the other and hands it their replies in
 * order: an object and a promise for each of them would cost more than all the rest.
 */
class EncodedCommands extends Command {
  /** Settled replies so far; an error is the reply where there was one, or what became of the connection. */
  readonly #replies: unknown[] = [];
  readonly #count: number;
  readonly #chunks: readonly Buffer[];
  readonly #done: (replies: unknown[]) => void;

  /** A cluster's client looks up the node by the name and the key. */
  constructor(
    chunks: readonly Buffer[],
    count: number,
    done: (replies: unknown[]) => void,
    name = 'encoded',
    keys: Buffer[] = [],
  ) {
    super(name, keys);
    this.#chunks = chunks;
    this.#count = count;
    this.#done = done;
    this.resolve = (reply: unknown) => this.#reply(reply);
    this.reject = (error: Error) => this.#reply(error);
  }

  /** The library writes one chunk; those before it go the same way, without being copied together. */
  override toWritable(socket: object): Buffer {
    if (socket === NOWHERE) return NOTHING;
    const [first = NOTHING] = this.#chunks;
    if (this.#chunks.length === 1) return first;
    if (!(socket instanceof Socket)) return Buffer.concat(this.#chunks);
    for (const chunk of this.#chunks.slice(0, -1)) socket.write(chunk);
    return this.#chunks.at(-1) ?? NOTHING;
  }

  #reply(reply: unknown): void {
    this.#replies.push(reply);
    if (this.#replies.length === this.#count) this.#done(this.#replies);
  }
}

/**
 * Sends all commands of the buffers, in order and back to back. Resolves with one reply per command; error replies and a lost
 * connection are replies too, as Errors. The buffers must not be written to before that. A command may begin in one buffer
 * and go on in the next.
 */
export function sendEncoded(client: RedisClient, ...buffers: readonly CommandBuffer[]): Promise<unknown[]> {
  const count = buffers.reduce((sum, buffer) => sum + buffer.count, 0);
  if (count === 0) return Promise.resolve([]);
  const chunks = buffers.map(({ bytes }) => bytes).filter(({ length }) => length > 0);
  return new Promise((resolve) => {
    const commands = new EncodedCommands(chunks, count, resolve);
    void client.sendCommand(commands);
    for (let index = 1; index < count; index += 1) void client.sendCommand(commands, NOWHERE);
  });
}

/** The same for a cluster, where each command goes to the node of its key, the first argument of the command `name`. */
export function sendEncodedByKey(
  client: RedisClient,
  name: string,
  commands: readonly { readonly key: Buffer; readonly bytes: Buffer }[],
): Promise<unknown[]> {
  return Promise.all(
    commands.map(
      ({ key, bytes }) =>
        new Promise<unknown>((resolve) => {
          void client.sendCommand(new EncodedCommands([bytes], 1, ([reply]) => resolve(reply), name, [key]));
        }),
    ),
  );
}
