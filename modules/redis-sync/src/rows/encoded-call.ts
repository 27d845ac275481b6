import { classifyRedisError, replyWord, sendEncoded } from '@iotedge-redis/common';
import type { CommandBuffer, RedisClient } from '@iotedge-redis/common';

/**
 * Sends the commands of all buffers, in order, and resolves with one result per command. Refusals for good are results; a
 * passing one rejects, so that the connection hears of it. The buffers must not change before that.
 */
export async function sendRows(client: RedisClient, buffers: readonly CommandBuffer[]): Promise<unknown[]> {
  const replies = await sendEncoded(client, ...buffers);
  const passing = replies.find(isPassing);
  if (passing !== undefined) throw passing;
  return replies;
}

/** True for an error reply that the same command would get again: not for a full Redis, or one that still loads. */
export function isRefusal(error: unknown): error is Error {
  return error instanceof Error && replyWord(error) !== undefined && !classifyRedisError(error).retryable;
}

function isPassing(reply: unknown): reply is Error {
  return reply instanceof Error && !isRefusal(reply);
}
