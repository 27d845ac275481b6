import { SuiteError, sleep } from '@iotedge-redis/common';
import type { Clock } from '@iotedge-redis/common';
import { BlobError } from '@iotedge-redis/common/blob';
import type { BlobContainer, Block, StoredBlob } from '@iotedge-redis/common/blob';
import { crcOf } from '../storage/block-id.ts';
import type { SnapshotPart } from '../storage/manifest.ts';
import type { Work } from '../work.ts';

export interface CopyPartOptions {
  readonly work: Work;
  readonly source: BlobContainer;
  readonly target: BlobContainer;
  readonly part: SnapshotPart;
  readonly clock: Clock;
  readonly onCopied: (bytes: number) => void;
}

const CONCURRENCY = 4;
/** The service fetches no larger block from a URL. */
const MAX_BLOCK_BYTES = 100 * 1024 * 1024;
const POLL_MS = 2000;

/**
 * Takes one file over without a byte of it coming through here. True when the service held each block against the checksum that
 * it was exported with; false when there are no such checksums, and the length is all that was compared.
 */
export async function copyPart(options: CopyPartOptions): Promise<boolean> {
  const { work, source, target, part, onCopied } = options;
  const { patience, signal } = work;
  const found = await patience.until(() => source.head(part.blob, signal));
  if (found?.length !== part.bytes) {
    throw new SuiteError(
      'DATA_INVALID',
      `copying ${source.name}/${part.blob}: the manifest says ${part.bytes} bytes, and there ${found === undefined ? 'is no such blob' : `are ${found.length}`}`,
    );
  }
  const there = await patience.until(() => target.head(part.blob, signal));
  const isThere = there?.length === part.bytes && there.metadata['sha256'] === part.sha256;
  const blocks = await patience.until(() => source.committed(part.blob, signal));
  const isByBlocks = blocks.length > 0 && blocks.every(({ bytes }) => bytes <= MAX_BLOCK_BYTES);
  const isChecked = isByBlocks && blocks.every(({ id }) => crcOf(id) !== undefined);
  if (isThere && (there.copy?.status ?? 'success') === 'success') {
    onCopied(part.bytes);
    return isChecked;
  }
  const byBlocks = isByBlocks && (await copyBlocks(options, blocks));
  if (!byBlocks) await copyWhole(options, found);
  const copied = await patience.until(() => target.head(part.blob, signal));
  if (copied?.length !== part.bytes) {
    throw new SuiteError(
      'DATA_INVALID',
      `copying to ${target.name}/${part.blob}: the copy has ${copied?.length ?? 0} bytes instead of ${part.bytes}`,
    );
  }
  return byBlocks && isChecked;
}

/** False when the service does not have the request. */
async function copyBlocks(options: CopyPartOptions, blocks: readonly Block[]): Promise<boolean> {
  const { work, source, target, part, onCopied } = options;
  const { patience, signal } = work;
  const staged = await patience.until(() => target.staged(part.blob, signal));
  const known = new Map(staged.map(({ id, bytes }) => [id, bytes]));
  const queue = withOffsets(blocks);
  const copyNext = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { id, bytes, offset } = next;
      const attempt = async (): Promise<void> => {
        const block = { id, bytes, offset, source: await source.copySource(part.blob) };
        await target.stageFrom(part.blob, block, crcOf(id), signal);
      };
      if (known.get(id) !== bytes) await patience.until(attempt);
      onCopied(bytes);
    }
  };
  try {
    await Promise.all(Array.from({ length: CONCURRENCY }, copyNext));
  } catch (error) {
    queue.length = 0;
    if (error instanceof BlobError && error.serviceCode !== undefined && ABSENT.has(error.serviceCode)) {
      return false;
    }
    throw await explained(options, error);
  }
  const { sha256, bytes, rdbVersion, serverVersion } = part;
  const metadata = {
    sha256,
    bytes: String(bytes),
    rdbversion: String(rdbVersion),
    serverversion: serverVersion ?? '',
    keys: JSON.stringify(part.keys),
  };
  const ids = blocks.map(({ id }) => id);
  await patience.until(() => target.commit(part.blob, ids, { metadata }, signal));
  return true;
}

const ABSENT = new Set(['NotImplemented', 'FeatureNotSupported', 'UnsupportedHeader', 'APINotImplemented']);

function withOffsets(blocks: readonly Block[]): (Block & { readonly offset: number })[] {
  let offset = 0;
  return blocks.map((block) => {
    const placed = { ...block, offset };
    offset += block.bytes;
    return placed;
  });
}

/** The service copies by itself, and is asked how far it is. */
async function copyWhole(options: CopyPartOptions, found: StoredBlob): Promise<void> {
  const { work, source, target, part, clock, onCopied } = options;
  const { patience, signal } = work;
  try {
    await patience.until(async () => {
      const { url, token } = await source.copySource(part.blob);
      if (token !== undefined) {
        throw new SuiteError(
          'CONFIG_INVALID',
          `copying ${source.name}/${part.blob}: it was not uploaded in blocks by this module, and a whole blob is copied by a SAS only: set storageAuth to sas and blobSasToken`,
        );
      }
      await target.startCopy(part.blob, { url, etag: found.etag }, signal);
    });
  } catch (error) {
    throw await explained(options, error);
  }
  for (;;) {
    const { copy } = (await patience.until(() => target.head(part.blob, signal))) ?? {};
    if (copy?.status === 'success') break;
    if (copy !== undefined && copy.status !== 'pending') {
      throw new SuiteError(
        'BLOB_UNAVAILABLE',
        `copying to ${target.name}/${part.blob}: the service ended the copy as ${copy.status} (${copy.reason})`,
      );
    }
    await sleep(POLL_MS, signal, clock);
  }
  onCopied(part.bytes);
}

/** What the destination says of a refused source is little: the source itself, asked directly, says why. */
async function explained(options: CopyPartOptions, error: unknown): Promise<unknown> {
  if (!(error instanceof BlobError) || error.reason !== 'COPY_SOURCE_REFUSED') return error;
  const { source, part, work } = options;
  try {
    await source.head(part.blob, work.signal);
    return error;
  } catch (reason) {
    return reason;
  }
}
