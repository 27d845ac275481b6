import { errorText } from '@iotedge-redis/common';
import type { Log } from '@iotedge-redis/common';
import type { BlobContainer, ListedBlob, Patience } from '@iotedge-redis/common/blob';
import { MANIFEST_ENDING } from '../storage/manifest.ts';

export interface RetainOptions {
  readonly container: BlobContainer;
  readonly prefix: string;
  /** How many of the newest snapshots stay. */
  readonly keep: number;
  readonly patience: Patience;
  readonly signal: AbortSignal;
  readonly log: Log;
}

/** Files of an export that ended without a manifest go as soon as nothing can go on with them any more. */
const ORPHAN_MS = 7 * 86_400_000;

/**
 * Which blobs of a listing have to go, in the order of going: a snapshot's manifest first, so that nobody takes for a snapshot
 * what is half deleted. Names of runs sort by time. Only what is named as this module names its blobs is touched.
 */
export function surplus(
  blobs: readonly ListedBlob[],
  { prefix, keep, now }: { readonly prefix: string; readonly keep: number; readonly now: number },
): { readonly snapshots: number; readonly blobs: readonly string[] } {
  const nameOf = (blob: string): string | undefined =>
    /^(\d{8}T\d{9}Z-[0-9a-f]{6})(?:\.manifest\.json|(?:\.\d+)?\.rdb)$/.exec(blob.slice(prefix.length))?.[1];
  const own = blobs.filter(({ name }) => name.startsWith(prefix) && nameOf(name) !== undefined);
  const isManifest = ({ name }: ListedBlob): boolean => name.endsWith(MANIFEST_ENDING);
  const complete = own.filter(isManifest).map(({ name }) => nameOf(name) ?? '');
  const going = new Set(complete.sort().reverse().slice(keep));
  const known = new Set(complete);
  const manifests = own.filter((blob) => isManifest(blob) && going.has(nameOf(blob.name) ?? ''));
  const files = own.filter((blob) => {
    const name = nameOf(blob.name) ?? '';
    return !isManifest(blob) && (going.has(name) || (!known.has(name) && now - blob.modifiedAt > ORPHAN_MS));
  });
  return { snapshots: going.size, blobs: [...manifests, ...files].map(({ name }) => name) };
}

/** Deletes all but the newest snapshots; a failure is a warning, since the next export tries again. Resolves with their number. */
export async function retain(options: RetainOptions): Promise<number> {
  const { container, prefix, keep, patience, signal, log } = options;
  try {
    const listed = await patience.until(() => container.list(prefix, signal));
    const going = surplus(listed, { prefix, keep, now: Date.now() });
    for (const blob of going.blobs) await patience.until(() => container.delete(blob, signal));
    return going.snapshots;
  } catch (error) {
    if (signal.aborted) throw error;
    log.warn('old snapshots could not be deleted; the next export tries again', { reason: errorText(error) });
    return 0;
  }
}
