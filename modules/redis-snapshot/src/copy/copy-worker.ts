import { SuiteError } from '@iotedge-redis/common';
import type { Clock, JsonObject } from '@iotedge-redis/common';
import type { BlobContainer } from '@iotedge-redis/common/blob';
import { MAX_MANIFEST_BYTES, describeSnapshot, readManifest, writeManifest } from '../storage/manifest.ts';
import type { Manifest } from '../storage/manifest.ts';
import { findSnapshot } from '../storage/snapshot-list.ts';
import type { Work, Worker } from '../work.ts';
import { copyPart } from './copy-part.ts';

export interface CopyOptions {
  readonly source: BlobContainer;
  /** Undefined while the settings do not name one. */
  readonly target: BlobContainer | undefined;
  readonly prefix: () => string;
  readonly clock: Clock;
  /** Resolves once the export that makes this snapshot is over; at once when there is none of it. */
  readonly exported: (snapshot: string) => Promise<unknown>;
}

/** Has the storage service take a snapshot to another account: its files first, its manifest last. */
export function createCopyWorker(options: CopyOptions): Worker {
  return async (work) => {
    const { target } = options;
    if (target === undefined)
      throw new SuiteError('CONFIG_INVALID', 'copying: no container to copy to is named in the settings');
    return copySnapshot({ ...options, target }, work);
  };
}

async function copySnapshot(
  { source, target, prefix, clock, exported }: CopyOptions & { readonly target: BlobContainer },
  work: Work,
): Promise<JsonObject> {
  const { patience, signal, input, checkpoint } = work;
  // The newest at the beginning, also when the run goes on later.
  const chosen = checkpoint?.['snapshot'] ?? input['snapshot'];
  const wanted = typeof chosen === 'string' ? chosen : undefined;
  if (wanted !== undefined) await Promise.race([exported(wanted), aborted(signal)]);
  const { manifest, blob } = await patience.until(() => findSnapshot(source, prefix(), wanted, signal));
  await work.keep({ snapshot: manifest.name });
  const there = await patience.until(() => target.get(blob, MAX_MANIFEST_BYTES, signal));
  const before = there === undefined ? undefined : readManifest(blob, there);
  if (before?.runId === manifest.runId && before.bytes === manifest.bytes) return describe(before, target, 0);
  const startedAt = clock.now();
  let copied = 0;
  let areAllChecked = true;
  for (const [index, part] of manifest.parts.entries()) {
    const isChecked = await copyPart({
      ...{ work, source, target, part, clock },
      onCopied(bytes) {
        copied += bytes;
        work.progress({
          snapshot: manifest.name,
          file: index + 1,
          files: manifest.parts.length,
          copiedBytes: copied,
          bytes: manifest.bytes,
        });
      },
    });
    areAllChecked &&= isChecked;
  }
  const finishedAt = clock.now();
  const copy: Manifest = {
    ...manifest,
    copy: {
      from: source.name,
      at: new Date(finishedAt).toISOString(),
      verified: areAllChecked ? 'crc64 of each block' : 'length',
    },
  };
  await patience.until(() => target.put(blob, writeManifest(copy), 'application/json', signal));
  return describe(copy, target, finishedAt - startedAt);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function describe(manifest: Manifest, target: BlobContainer, durationMs: number): JsonObject {
  return { ...describeSnapshot(manifest), container: target.name, durationMs };
}
