import { Command } from 'ioredis';
import { classifyRedisError, replyWord } from '@iotedge-redis/common';
import type { RedisClient } from '@iotedge-redis/common';
import type { CommandBuffer } from './resp.ts';

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
 * Sends the commands of all buffers, in order, and resolves with one result per command. Refusals for good are results; a
 * passing one rejects, so that the connection hears of it. The buffers must not change before that.
 */
export async function sendEncoded(
  client: RedisClient,
  buffers: readonly CommandBuffer[],
): Promise<unknown[]> {
  const promises: Promise<unknown>[] = [];
  for (const { bytes, count } of buffers) {
    // The first command of each carries all its bytes, the others wait for their replies only.
    for (let index = 0; index < count; index += 1) {
      const command = new EncodedCommand(index === 0 ? bytes : NOTHING);
      promises.push(client.sendCommand(command) as Promise<unknown>);
    }
  }
  const settled = await Promise.allSettled(promises);
  return settled.map((result) => {
    if (result.status === 'fulfilled') return result.value;
    const error: unknown = result.reason;
    if (!isRefusal(error)) throw error;
    return error;
  });
}

/** True for an error reply that the same command would get again: not for a full Redis, or one that still loads. */
export function isRefusal(error: unknown): error is Error {
  return error instanceof Error && replyWord(error) !== undefined && !classifyRedisError(error).retryable;
}
