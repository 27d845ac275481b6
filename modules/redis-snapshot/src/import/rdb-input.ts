import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';
import { SuiteError } from '@iotedge-redis/common';
import type { BlobSource, Patience } from '@iotedge-redis/common/blob';
import { createRange, readBlocks } from '@iotedge-redis/common/blob';

/** An RDB file somewhere, plain or packed. */
export interface RdbInput {
  /** For texts. */
  readonly name: string;
  /** Another one when the bytes are other ones. */
  readonly version: string;
  readonly isGzip: boolean;
  /** The unpacked file from the offset on, in pieces; the memory of each may be used again once the next but one is asked for. */
  read(offset: number): AsyncIterable<Buffer>;
  /** The same, read with another patience: when the one that it was made with has been called off. */
  by(patience: Patience): RdbInput;
}

const PIECE_BYTES = 1024 * 1024;
/** A range takes the service some ten milliseconds even where the link is fast. */
const RANGES_AHEAD = 3;

function isGzipped(head: Buffer): boolean {
  return head[0] === 0x1f && head[1] === 0x8b;
}

/** A blob, of the version that it has now: once another one is uploaded under its name, reading fails. */
export async function createBlobInput(
  source: BlobSource,
  patience: Patience,
  signal: AbortSignal,
): Promise<RdbInput> {
  const { name } = source;
  const facts = await patience.until(() => source.head(signal));
  if (facts.length < 2) throw new SuiteError('DATA_INVALID', `reading ${name}: the blob is empty`);
  const range = createRange(facts.etag, 0, 2);
  const isGzip = isGzipped(await patience.until(() => source.fill(range, signal)));
  const input = (by: Patience, until: AbortSignal): RdbInput => ({
    name,
    version: facts.etag,
    isGzip,
    read: (offset) =>
      readBlocks({
        facts,
        offset,
        isGzip,
        name,
        isTransient: true,
        ahead: RANGES_AHEAD,
        signal: until,
        fetch: (task) => by.until(() => source.fill(task, until)),
      }),
    by: (other) => input(other, new AbortController().signal),
  });
  return input(patience, signal);
}

/** A file of this machine. */
export async function createFileInput(path: string): Promise<RdbInput> {
  const { size, mtimeMs } = await stat(path);
  const file = await open(path);
  const head = Buffer.alloc(2);
  await file.read(head, 0, 2, 0).finally(() => file.close());
  const isGzip = isGzipped(head);
  const input: RdbInput = {
    name: path,
    version: `${size}-${mtimeMs}`,
    isGzip,
    read: (offset) =>
      isGzip ? unpacked(path, offset) : createReadStream(path, { start: offset, highWaterMark: PIECE_BYTES }),
    by: () => input,
  };
  return input;
}

async function* unpacked(path: string, offset: number): AsyncGenerator<Buffer> {
  const packed = createReadStream(path, { highWaterMark: PIECE_BYTES });
  const gunzip = createGunzip({ chunkSize: PIECE_BYTES });
  packed.on('error', (error) => gunzip.destroy(error));
  packed.pipe(gunzip);
  let passed = 0;
  try {
    for await (const piece of gunzip as AsyncIterable<Buffer>) {
      const rest = piece.subarray(Math.min(piece.length, Math.max(0, offset - passed)));
      passed += piece.length;
      if (rest.length > 0) yield rest;
    }
  } catch (error) {
    throw new SuiteError('DATA_INVALID', `reading ${path}: not a whole gzip file`, { cause: error });
  } finally {
    packed.destroy();
    gunzip.destroy();
  }
}
