import { errorText, sleep } from '@iotedge-redis/common';
import type { Log } from '@iotedge-redis/common';
import { infoNumber, readInfo, snapshotBound } from '../server/server-facts.ts';
import { ServerLink } from '../server/server-link.ts';
import type { LinkOptions } from '../server/server-link.ts';

/** What the snapshot cost the server; null where INFO is hidden. */
export interface ForkCost {
  readonly forkSeconds: number | null;
  readonly copyOnWriteBytes: number | null;
}

export interface ForkWatch {
  /** Upper bound of the file's length, from before the fork. */
  readonly boundBytes: number | undefined;
  /** Ends the watch; asks once more, since some numbers come when the child has ended. Idempotent. */
  end(): Promise<ForkCost>;
}

const EVERY_MS = 500;

/** Looks at a server's numbers while it sends its snapshot. A server that does not answer leaves gaps, no failures. */
export async function watchFork(options: LinkOptions & { readonly log: Log }): Promise<ForkWatch> {
  const link = await ServerLink.open(options);
  const ending = new AbortController();
  const signal = AbortSignal.any([options.signal, ending.signal]);
  const first = await readInfo(link).catch((error: unknown) => {
    link.close();
    throw error;
  });
  let copyOnWriteBytes: number | null = null;
  let forkSeconds: number | null = null;
  const look = async (): Promise<void> => {
    const info = await readInfo(link);
    const now = Math.max(
      infoNumber(info, 'current_cow_size') ?? 0,
      infoNumber(info, 'rdb_last_cow_size') ?? 0,
    );
    if (info.has('current_cow_size')) copyOnWriteBytes = Math.max(copyOnWriteBytes ?? 0, now);
    const fork = infoNumber(info, 'latest_fork_usec');
    if (fork !== undefined) forkSeconds = fork / 1_000_000;
  };
  const watching = (async () => {
    try {
      for (;;) {
        await sleep(EVERY_MS, signal);
        await look();
      }
    } catch (error) {
      if (!signal.aborted) options.log.debug('the server tells no numbers', { reason: errorText(error) });
    }
  })();
  const finish = async (): Promise<ForkCost> => {
    ending.abort();
    await watching;
    await look().catch(() => undefined);
    link.close();
    return { forkSeconds, copyOnWriteBytes };
  };
  let ended: Promise<ForkCost> | undefined;
  return { boundBytes: snapshotBound(first), end: () => (ended ??= finish()) };
}
