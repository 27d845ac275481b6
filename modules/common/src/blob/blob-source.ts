import { createHash } from 'node:crypto';
import type { BlobClient, RestError } from '@azure/storage-blob';
import { systemClock } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { SuiteError } from '../errors.ts';
import { BlobError, blobError } from './blob-errors.ts';
import type { BlobFailure } from './blob-errors.ts';
import { crc64 } from '../crc64.ts';
import { sasFacts } from './sas.ts';
import type { SasFacts } from './sas.ts';

export interface BlobPlace {
  /** Base address with the account: `https://abc.blob.core.windows.net`. */
  readonly endpoint: string;
  readonly container: string;
  readonly blob: string;
}

export interface BlobSourceOptions {
  readonly place: BlobPlace;
  /** Asked at each request, so that a rotated SAS is used from the next one on. */
  readonly sas: () => string;
  /** How long the service may be silent, in the middle of an answer too. */
  readonly stallTimeoutMs: number;
  readonly clock?: Clock;
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
  readonly #options: BlobSourceOptions;
  readonly #clock: Clock;
  #client: { readonly sas: string; readonly blob: BlobClient } | undefined;
  #check: Check = 'crc64';

  constructor(options: BlobSourceOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    const { endpoint, container, blob } = options.place;
    this.name = `${new URL(endpoint).host}/${container}/${blob}`;
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
        clockSkewMs: found.date === undefined ? 0 : found.date.getTime() - this.#clock.now(),
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

  /** One request with our own stall timer: `alive` is called whenever something arrives. */
  async #request<T>(
    doing: string,
    signal: AbortSignal,
    call: (blob: BlobClient, abortSignal: AbortSignal, alive: () => void) => Promise<T>,
  ): Promise<T> {
    const { stallTimeoutMs } = this.#options;
    const sas = this.#options.sas();
    const blob = await this.#open(sas);
    const abort = new AbortController();
    const watch = { isStalled: false };
    let fail: (error: Error) => void = () => undefined;
    // An abort does not always end the SDK's stream, so the wait itself ends too.
    const ended = new Promise<never>((_, reject) => (fail = reject));
    const stall = (): void => {
      watch.isStalled = true;
      abort.abort();
      fail(new SuiteError('STOPPED', 'stalled'));
    };
    const stop = (): void => {
      abort.abort();
      fail(new SuiteError('STOPPED', `${doing}: stopped`));
    };
    let cancel = this.#clock.after(stallTimeoutMs, stall);
    const alive = (): void => {
      cancel();
      cancel = this.#clock.after(stallTimeoutMs, stall);
    };
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    try {
      return await Promise.race([call(blob, abort.signal, alive), ended]);
    } catch (error) {
      if (watch.isStalled) {
        throw new BlobError('NETWORK_STALLED', `${doing}: nothing arrived for ${stallTimeoutMs} ms`);
      }
      if (error instanceof SuiteError) throw error;
      throw this.#mapped(doing, error, sasFacts(sas));
    } finally {
      cancel();
      signal.removeEventListener('abort', stop);
    }
  }

  #mapped(doing: string, error: unknown, facts: SasFacts): BlobError {
    const { status, code, serviceTime } = readFailure(error);
    // A stand-in for the service may know one of the two checksums only.
    if (code === 'FeatureNotSupported' && this.#check === 'crc64') {
      this.#check = 'md5';
      return new BlobError('STORAGE_ERROR', `${doing}: the service has no CRC64; using MD5`, {
        hasProgress: true,
      });
    }
    return blobError(doing, { status, code, serviceTime }, facts);
  }

  async #open(sas: string): Promise<BlobClient> {
    if (this.#client?.sas === sas) return this.#client.blob;
    // Loaded when first needed: it takes a quarter of a second and 40 MB.
    const { AnonymousCredential, ContainerClient, newPipeline } = await import('@azure/storage-blob');
    const { endpoint, container, blob } = this.#options.place;
    const base = endpoint.replace(/\/+$/, '');
    const pipeline = newPipeline(new AnonymousCredential(), { retryOptions: { maxTries: 1 } });
    const client = new ContainerClient(
      `${base}/${encodeURIComponent(container)}?${sas}`,
      pipeline,
    ).getBlobClient(blob);
    this.#client = { sas, blob: client };
    return client;
  }
}

function expectedDigest(crc: Uint8Array | undefined, md5: Uint8Array | undefined): RangeTask['expected'] {
  if (crc !== undefined) return { check: 'crc64', digest: Buffer.from(crc) };
  return md5 === undefined ? undefined : { check: 'md5', digest: Buffer.from(md5) };
}

function digest(check: Check, bytes: Buffer): Buffer {
  return check === 'crc64' ? crc64(bytes) : createHash('md5').update(bytes).digest();
}

function readFailure(error: unknown): BlobFailure {
  if (!isRestError(error)) return { status: undefined, code: undefined, serviceTime: undefined };
  const headers = error.response?.headers;
  const date = Date.parse(headers?.get('date') ?? '');
  return {
    status: error.statusCode,
    code: headers?.get('x-ms-error-code') ?? error.code,
    serviceTime: Number.isNaN(date) ? undefined : date,
  };
}

function isRestError(error: unknown): error is RestError {
  return error instanceof Error && error.name === 'RestError';
}
