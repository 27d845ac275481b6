import { Command } from 'ioredis';
import type { CommandBuffer } from './command-buffer.ts';
import type { RedisClient } from './redis-clients.ts';

/** A command whose bytes are there already; the library still matches its reply. */
class EncodedCommand extends Command {
  readonly #bytes: Buffer;

  /** A cluster's client looks up the node by the name and the key. */
  constructor(bytes: Buffer, name = 'encoded', keys: Buffer[] = []) {
    super(name, keys);
    this.#bytes = bytes;
  }

  override toWritable(): Buffer {
    return this.#bytes;
  }
}

const NOTHING = Buffer.alloc(0);

/**
 * Sends all commands of the buffers, in order and back to back. Resolves with one outcome per command: error replies and a lost
 * connection are outcomes. The buffers must not be written to before that.
 */
export function sendEncoded(
  client: RedisClient,
  ...buffers: readonly CommandBuffer[]
): Promise<PromiseSettledResult<unknown>[]> {
  const promises: Promise<unknown>[] = [];
  for (const { bytes, count } of buffers) {
    // The first command of a buffer carries all of its bytes, the others wait for their replies only.
    for (let index = 0; index < count; index += 1) {
      const command = new EncodedCommand(index === 0 ? bytes : NOTHING);
      promises.push(client.sendCommand(command) as Promise<unknown>);
    }
  }
  return Promise.allSettled(promises);
}

/** The same for a cluster, where each command goes to the node of its key, the first argument of the command `name`. */
export function sendEncodedByKey(
  client: RedisClient,
  name: string,
  commands: readonly { readonly key: Buffer; readonly bytes: Buffer }[],
): Promise<PromiseSettledResult<unknown>[]> {
  return Promise.allSettled(
    commands.map(
      ({ key, bytes }) => client.sendCommand(new EncodedCommand(bytes, name, [key])) as Promise<unknown>,
    ),
  );
}
