import { Command } from 'ioredis';
import type { CommandBuffer } from './command-buffer.ts';
import type { RedisClient } from './redis-clients.ts';

/** A command whose bytes are there already; the library still matches its reply. */
class EncodedCommand extends Command {
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    super('encoded');
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
