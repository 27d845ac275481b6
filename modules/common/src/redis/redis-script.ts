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

/** Scripts that a connection has sent the text of. */
const sent = new WeakMap<RedisClient, Set<string>>();

/**
 * Runs a script: the first time on a connection by its text, then by its hash, so that commands keep the order in which they
 * were called even where Redis does not know the script yet. Should Redis have forgotten it meanwhile (SCRIPT FLUSH, another
 * node of a cluster), the text is sent once more. Bulk strings in the answer are Buffers.
 */
export async function callScript(
  client: RedisClient,
  script: RedisScript,
  keys: readonly (string | Buffer)[],
  args: readonly (string | number | Buffer)[],
): Promise<unknown> {
  const known = sent.get(client) ?? new Set();
  const byText = (): Promise<unknown> =>
    client.callBuffer('EVAL', [script.lua, keys.length, ...keys, ...args]);
  if (!known.has(script.sha)) {
    sent.set(client, known.add(script.sha));
    return byText();
  }
  try {
    return await client.callBuffer('EVALSHA', [script.sha, keys.length, ...keys, ...args]);
  } catch (error) {
    // NOSCRIPT means that nothing of the script ran, so sending it once more is safe.
    if (replyWord(error) !== 'NOSCRIPT') throw error;
    return await byText();
  }
}
