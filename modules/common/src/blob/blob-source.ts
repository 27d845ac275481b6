import { createHash } from 'node:crypto';
import type { BlobClient } from '@azure/storage-blob';
import { BlobError } from './blob-errors.ts';
import { BlobRequests } from './blob-requests.ts';
import type { BlobRequestsOptions, ContainerPlace } from './blob-requests.ts';
import { crc64 } from '../crc64.ts';

export interface BlobPlace extends ContainerPlace {
  readonly blob: string;
}

export interface BlobSourceOptions extends BlobRequestsOptions {
  readonly place: BlobPlace;
}

export interface BlobFacts {
  readonly etag: string;
  readonly length: number;
  readonly contentEncoding: string | undefined;
  /** Of the whole blob as its uploader stated it; many ways of uploading leave it out. */
  readonly contentMd5: Buffer | undefined;
  /** The service's clock minus ours. */
  readonly clockSkewMs: number;
}

type Check = 'crc64' | 'md5';

/** One stretch of the blob, filled over as many requests as the link needs. */
export interface RangeTask {
  readonly etag: string;
  readonly offset: number;
  readonly bytes: Buffer;
  filled: number;
  expected: { readonly check: Check; readonly digest: Buffer } | undefined;
}

/** The service states a checksum for up to 4 MiB; half of that keeps the memory small and the requests few. */
export const RANGE_BYTES = 2 * 1024 * 1024;

/** `memory` is used when it is large enough; nobody else may hold it. */
export function createRange(etag: string, offset: number, length: number, memory?: Buffer): RangeTask {
  const isEnough = memory !== undefined && memory.length >= length;
  const bytes = isEnough ? memory.subarray(0, length) : Buffer.allocUnsafeSlow(length);
  return { etag, offset, bytes, filled: 0, expected: undefined };
}

/** Reads one blob by ranges. Each call is one attempt: whoever calls decides about the next. */
export class BlobSource {
  /** For texts: account, container and blob, without the SAS. */
  readonly name: string;
  /** Bytes that came over the wire, repeats included. */
  bytesFetched = 0;
  readonly #requests: BlobRequests;
  readonly #blob: string;
  #check: Check = 'crc64';

  constructor(options: BlobSourceOptions) {
    this.#requests = new BlobRequests(options);
    this.#blob = options.place.blob;
    this.name = `${this.#requests.name}/${this.#blob}`;
  }

  /** Which checksum of the service the ranges are held against. */
  get check(): Check {
    return this.#check;
  }

  async head(signal: AbortSignal): Promise<BlobFacts> {
    return this.#request(`looking at ${this.name}`, signal, async (blob, abortSignal) => {
      const found = await blob.getProperties({ abortSignal });
      if (found.etag === undefined || found.contentLength === undefined) {
        throw new BlobError('STORAGE_ERROR', `looking at ${this.name}: the answer has no ETag or length`);
      }
      return {
        etag: found.etag,
        length: found.contentLength,
        contentEncoding: found.contentEncoding,
        contentMd5: found.contentMD5 === undefined ? undefined : Buffer.from(found.contentMD5),
        clockSkewMs: found.date === undefined ? 0 : found.date.getTime() - this.#requests.clock.now(),
      };
    });
  }

  /** Goes on filling the range where the last attempt stopped, then checks the whole of it. */
  async fill(range: RangeTask, signal: AbortSignal): Promise<Buffer> {
    const doing = `reading ${this.name}`;
    const before = range.filled;
    try {
      if (range.filled < range.bytes.length) {
        await this.#request(doing, signal, (blob, abortSignal, alive) =>
          this.#receive(blob, range, abortSignal, alive),
        );
      }
    } catch (error) {
      if (error instanceof BlobError && range.filled > before) {
        throw new BlobError(error.reason, error.message, { hasProgress: true });
      }
      throw error;
    }
    if (range.filled < range.bytes.length) {
      const at = range.offset + range.filled;
      throw new BlobError('NETWORK_ERROR', `${doing}: the answer ended early, at byte ${at}`, {
        hasProgress: range.filled > before,
      });
    }
    if (
      range.expected !== undefined &&
      !digest(range.expected.check, range.bytes).equals(range.expected.digest)
    ) {
      range.filled = 0;
      range.expected = undefined;
      throw new BlobError(
        'BLOB_CORRUPT',
        `${doing}: the bytes from ${range.offset} on do not have the checksum that the service stated; fetching them again`,
      );
    }
    return range.bytes;
  }

  async #receive(
    blob: BlobClient,
    range: RangeTask,
    abortSignal: AbortSignal,
    alive: () => void,
  ): Promise<void> {
    const isFirst = range.filled === 0;
    const start = range.offset + range.filled;
    const wanted = range.bytes.length - range.filled;
    const answer = await blob.download(start, wanted, {
      abortSignal,
      conditions: { ifMatch: range.etag },
      // The SDK's own resuming does not notice every broken stream; ours does.
      maxRetryRequests: 0,
      ...(isFirst && this.#check === 'crc64' ? { rangeGetContentCrc64: true } : {}),
      ...(isFirst && this.#check === 'md5' ? { rangeGetContentMD5: true } : {}),
    });
    alive();
    if (isFirst) range.expected = expectedDigest(answer.contentCrc64, answer.contentMD5);
    const body = answer.readableStreamBody;
    if (body === undefined)
      throw new BlobError('STORAGE_ERROR', `reading ${this.name}: the answer has no body`);
    for await (const chunk of body) {
      alive();
      const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk);
      this.bytesFetched += bytes.length;
      if (range.filled + bytes.length > range.bytes.length) {
        throw new BlobError('STORAGE_ERROR', `reading ${this.name}: the answer is longer than the range`);
      }
      range.filled += bytes.copy(range.bytes, range.filled);
    }
  }

  async #request<T>(
    doing: string,
    signal: AbortSignal,
    call: (blob: BlobClient, abortSignal: AbortSignal, alive: () => void) => Promise<T>,
  ): Promise<T> {
    const asked = this.#check;
    try {
      return await this.#requests.run({
        doing,
        signal,
        call: (container, abortSignal, alive) =>
          call(container.getBlobClient(this.#blob), abortSignal, alive),
      });
    } catch (error) {
      // A stand-in for the service may know one of the two checksums only.
      if (!(error instanceof BlobError) || error.serviceCode !== 'FeatureNotSupported') throw error;
      if (asked === 'md5') throw error;
      this.#check = 'md5';
      return this.#request(doing, signal, call);
    }
  }
}

function expectedDigest(crc: Uint8Array | undefined, md5: Uint8Array | undefined): RangeTask['expected'] {
  if (crc !== undefined) return { check: 'crc64', digest: Buffer.from(crc) };
  return md5 === undefined ? undefined : { check: 'md5', digest: Buffer.from(md5) };
}

function digest(check: Check, bytes: Buffer): Buffer {
  return check === 'crc64' ? crc64(bytes) : createHash('md5').update(bytes).digest();
}
