import { replyWord } from '@iotedge-redis/common';
import type { RedisClient, RedisConnection } from '@iotedge-redis/common';

const SETTING = 'sanitize-dump-payload';

/**
 * Makes the server look through every restored value, as it does not by default: a value that is damaged behind a right checksum
 * could crash it later. Resolves with the setting before, or undefined where the ACL or a provider hides CONFIG.
 */
export async function sanitizeFrom(connection: RedisConnection): Promise<string | undefined> {
  return connection.run('making Redis check what is restored', async (client) => {
    try {
      const [answer] = await Promise.all(nodesOf(client).map((node) => node.config('GET', SETTING)));
      const before: unknown = Array.isArray(answer) ? answer[1] : undefined;
      if (typeof before !== 'string') return undefined;
      if (before !== 'yes') await setEverywhere(client, 'yes');
      return before;
    } catch (error) {
      if (replyWord(error) === undefined) throw error;
      return undefined;
    }
  });
}

export async function sanitizeAgainAs(connection: RedisConnection, before: string): Promise<void> {
  if (before === 'yes') return;
  await connection.run('putting a setting of Redis back', (client) => setEverywhere(client, before));
}

async function setEverywhere(client: RedisClient, value: string): Promise<void> {
  await Promise.all(nodesOf(client).map((node) => node.config('SET', SETTING, value)));
}

function nodesOf(client: RedisClient): Exclude<RedisClient, { nodes: unknown }>[] {
  return 'nodes' in client ? client.nodes('master') : [client];
}
