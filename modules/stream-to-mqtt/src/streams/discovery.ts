import type { RedisClient } from '@iotedge-redis/common';
import { SuiteError } from '@iotedge-redis/common';
import type { Operations } from './operations.ts';
import { bytesOf, listOf, textFrom } from './redis-replies.ts';
import type { StreamSource } from './stream-source.ts';

/** Keys looked at in one call: Redis serves nobody else meanwhile. */
const SCAN_COUNT = 1000;

const MIN_REST_MS = 2000;
/** One call keeps Redis busy for about a millisecond. */
const REST_PER_CALL_MS = 100;

/**
 * How long to rest after a search that took so many calls: a small database is searched often, a large one as rarely as
 * allowed. The jitter keeps a fleet that started together from scanning together.
 */
export function searchRestMs(calls: number, longestMs: number, random: () => number = Math.random): number {
  return Math.min(longestMs, Math.max(MIN_REST_MS, calls * REST_PER_CALL_MS)) * (0.9 + 0.2 * random());
}

/** A node that can be scanned by itself. */
type Node = Pick<RedisClient, 'callBuffer'>;

/** The names of streams as bytes, by the text that keeps each of them. */
export type Names = ReadonlyMap<string, Buffer>;

/** Finds the streams of one database that are wanted, and tells how many calls it took. */
export async function findStreams(
  source: StreamSource,
  options: {
    readonly isWanted: (id: string, key: Buffer) => boolean;
    /** Lets Redis leave names out by itself. */
    readonly pattern: string | undefined;
    readonly operations: Operations;
    readonly signal: AbortSignal;
  },
): Promise<{ readonly found: Names; readonly calls: number }> {
  const { isWanted, pattern, operations, signal } = options;
  const found = new Map<string, Buffer>();
  let calls = 0;
  const nodes = await source.commands.run('looking for streams', (client) =>
    Promise.resolve(scannable(client)),
  );
  for (const node of nodes) {
    let cursor = '0';
    do {
      if (signal.aborted) throw new SuiteError('STOPPED', 'looking for streams: stopped');
      const match = pattern === undefined ? [] : ['MATCH', pattern];
      const from = cursor;
      calls += 1;
      const reply = listOf(
        await operations.upkeep(signal, () =>
          source.commands.run('looking for streams', () =>
            node.callBuffer('SCAN', [from, ...match, 'COUNT', SCAN_COUNT, 'TYPE', 'stream']),
          ),
        ),
      );
      cursor = textFrom(reply[0]);
      for (const item of listOf(reply[1])) {
        const key = bytesOf(item);
        const id = key.toString('latin1');
        if (isWanted(id, key)) found.set(id, key);
      }
    } while (cursor !== '0');
  }
  return { found, calls };
}

function scannable(client: RedisClient): readonly Node[] {
  return 'nodes' in client ? client.nodes('master') : [client];
}
