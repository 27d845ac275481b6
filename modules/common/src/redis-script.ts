import { createHash } from 'node:crypto';
import type { RedisClient } from './redis-clients.ts';
import { replyWord } from './redis-errors.ts';

/** A Lua script and the name that Redis caches it under. */
export interface RedisScript {
  readonly lua: string;
  readonly sha: string;
}

export function defineScript(lua: string): RedisScript {
  return { lua, sha: createHash('sha1').update(lua).digest('hex') };
}

/**
 * Runs a script by its hash and sends its text only when the server does not know it (a restart, a failover, SCRIPT FLUSH).
 * Bulk strings in the answer are Buffers.
 */
export async function callScript(
  client: RedisClient,
  script: RedisScript,
  keys: readonly (string | Buffer)[],
  args: readonly (string | number | Buffer)[],
): Promise<unknown> {
  try {
    return await client.callBuffer('EVALSHA', [script.sha, keys.length, ...keys, ...args]);
  } catch (error) {
    // NOSCRIPT means that nothing of the script ran, so sending it once more is safe.
    if (replyWord(error) !== 'NOSCRIPT') throw error;
    return await client.callBuffer('EVAL', [script.lua, keys.length, ...keys, ...args]);
  }
}
