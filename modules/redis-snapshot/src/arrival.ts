import { errorText, sleep } from '@iotedge-redis/common';
import type { Clock, Log } from '@iotedge-redis/common';
import type { BlobContainer } from '@iotedge-redis/common/blob';
import { manifestBlob } from './storage/manifest.ts';
import { snapshotNames } from './storage/snapshot-list.ts';

/** A snapshot as it arrived: a manifest that is written anew under its name has another ETag. */
export interface Arrived {
  readonly snapshot: string;
  readonly etag: string;
}

export interface ArrivalOptions {
  readonly container: BlobContainer;
  readonly prefix: () => string;
  readonly everySeconds: () => number;
  /** False leaves it for the next look. */
  readonly onArrived: (arrived: Arrived) => boolean;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/**
 * Looks at the manifests of the container, which are written last, and tells of the newest one when it is another one than at the
 * last look. Resolves when the signal aborts.
 */
export async function watchArrivals(options: ArrivalOptions): Promise<void> {
  const { container, prefix, everySeconds, onArrived, clock, log, signal } = options;
  let seen: Arrived | undefined;
  let failure = '';
  while (!signal.aborted) {
    try {
      const listed = await container.list(prefix(), signal);
      const [snapshot] = snapshotNames(listed, prefix());
      const blob = listed.find(({ name }) => name === manifestBlob(prefix(), snapshot ?? ''));
      const found = snapshot === undefined || blob === undefined ? undefined : { snapshot, etag: blob.etag };
      const isNew = found !== undefined && (found.snapshot !== seen?.snapshot || found.etag !== seen.etag);
      if (isNew && onArrived(found)) seen = found;
      failure = '';
    } catch (error) {
      const reason = errorText(error);
      // The same trouble is told once.
      if (!isAborted(signal) && reason !== failure)
        log.warn('looking for arrived snapshots fails', { reason });
      failure = reason;
    }
    await sleep(everySeconds() * 1000, signal, clock).catch(() => undefined);
  }
}

function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
