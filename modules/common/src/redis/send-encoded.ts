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
  readonly #bytes: Buffer;
  readonly #done: (replies: unknown[]) => void;

  /** A cluster's client looks up the node by the name and the key. */
  constructor(
    bytes: Buffer,
    count: number,
    done: (replies: unknown[]) => void,
    name = 'encoded',
    keys: Buffer[] = [],
  ) {
    super(name, keys);
    this.#bytes = bytes;
    this.#count = count;
    this.#done = done;
    this.resolve = (reply: unknown) => this.#reply(reply);
    this.reject = (error: Error) => this.#reply(error);
  }

  override toWritable(socket: object): Buffer {
    return socket === NOWHERE ? NOTHING : this.#bytes;
  }

  #reply(reply: unknown): void {
    this.#replies.push(reply);
    if (this.#replies.length === this.#count) this.#done(this.#replies);
  }
}

/**
 * Sends all commands of the buffers, in order and back to back. Resolves with one reply per command; error replies and a lost
 * connection are replies too, as Errors. The buffers must not be written to before that.
 */
export async function sendEncoded(
  client: RedisClient,
  ...buffers: readonly CommandBuffer[]
): Promise<unknown[]> {
  const replies = buffers.map(({ bytes, count }) => {
    if (count === 0) return Promise.resolve<unknown[]>([]);
    return new Promise<unknown[]>((resolve) => {
      const commands = new EncodedCommands(bytes, count, resolve);
      void client.sendCommand(commands);
      for (let index = 1; index < count; index += 1) void client.sendCommand(commands, NOWHERE);
    });
  });
  return (await Promise.all(replies)).flat();
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
          void client.sendCommand(new EncodedCommands(bytes, 1, ([reply]) => resolve(reply), name, [key]));
        }),
    ),
  );
}
