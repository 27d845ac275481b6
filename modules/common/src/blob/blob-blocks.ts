import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { SuiteError } from '../errors.ts';
import { BlobError } from './blob-errors.ts';
import type { BlobFacts, RangeTask } from './blob-source.ts';
import { RANGE_BYTES, createRange } from './blob-source.ts';

export interface BlockOptions {
  readonly facts: BlobFacts;
  /** Where to begin, in the decoded file. */
  readonly offset: number;
  readonly isGzip: boolean;
  readonly name: string;
  readonly signal: AbortSignal;
  /** True for a caller that is done with a block when it asks for the next but one: its memory is used again. */
  readonly isTransient?: boolean;
  /** How many ranges are under way while the caller is at work on one; 1 by default. */
  readonly ahead?: number;
  /** Fetches a range to its end, over as many attempts as it takes. */
  readonly fetch: (range: RangeTask) => Promise<Buffer>;
}

const DECODED_BLOCK_BYTES = 1024 * 1024;

/** The decoded file from the offset on, in checked blocks. */
export function readBlocks(options: BlockOptions): AsyncGenerator<Buffer> {
  return options.isGzip ? unpacked(options) : ranges(options, options.offset);
}

/** Ranges in order; the next ones are under way while the caller is at work on this one. */
async function* ranges(options: BlockOptions, from: number): AsyncGenerator<Buffer> {
  const { facts, fetch, name, isTransient, ahead = 1 } = options;
  const md5 = from === 0 && facts.contentMd5 !== undefined ? createHash('md5') : undefined;
  /** What the caller was given: the newest one last, of which it may still hold an end while it takes the next. */
  const given: Buffer[] = [];
  let offset = from;
  const underWay: Promise<Buffer>[] = [];
  const begin = (): void => {
    const length = Math.min(RANGE_BYTES, facts.length - offset);
    if (length <= 0) return;
    const spare = given.length > 1 ? given.shift() : undefined;
    const block = fetch(createRange(facts.etag, offset, length, spare));
    // Whoever awaits it hears of the failure; until then it must not count as unhandled.
    block.catch(() => undefined);
    underWay.push(block);
    offset += length;
  };
  for (let count = 0; count < ahead; count += 1) begin();
  for (let next = underWay.shift(); next !== undefined; next = underWay.shift()) {
    const block = await next;
    begin();
    md5?.update(block);
    yield block;
    if (isTransient === true) given.push(block);
  }
  if (md5 !== undefined && facts.contentMd5 !== undefined && !md5.digest().equals(facts.contentMd5)) {
    throw new SuiteError(
      'DATA_INVALID',
      `reading ${name}: the blob is not what its Content-MD5 says, although every range had the service's checksum; upload it again`,
    );
  }
}

/** A gzip stream has no entry points: it is read from its first byte, and what was done before is passed over. */
async function* unpacked(options: BlockOptions): AsyncGenerator<Buffer> {
  const { offset, name, signal } = options;
  const packed = Readable.from(ranges({ ...options, isTransient: false }, 0), { objectMode: true });
  const gunzip = createGunzip({ chunkSize: 256 * 1024 });
  packed.on('error', (error) => gunzip.destroy(error));
  packed.pipe(gunzip);
  const stop = (): void => void gunzip.destroy(new SuiteError('STOPPED', `reading ${name}: stopped`));
  signal.addEventListener('abort', stop, { once: true });
  let passed = 0;
  let waiting: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of gunzip as AsyncIterable<Buffer>) {
      const rest = passed >= offset ? chunk : chunk.subarray(Math.min(chunk.length, offset - passed));
      passed += chunk.length;
      if (rest.length === 0) continue;
      waiting.push(rest);
      size += rest.length;
      if (size < DECODED_BLOCK_BYTES) continue;
      yield Buffer.concat(waiting);
      waiting = [];
      size = 0;
    }
    if (size > 0) yield Buffer.concat(waiting);
  } catch (error) {
    if (error instanceof SuiteError || error instanceof BlobError) throw error;
    throw new SuiteError('DATA_INVALID', `reading ${name}: not a whole gzip file; upload it again`, {
      cause: error,
    });
  } finally {
    signal.removeEventListener('abort', stop);
    packed.destroy();
    gunzip.destroy();
  }
}
