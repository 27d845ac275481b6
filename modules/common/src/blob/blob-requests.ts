import type { ContainerClient, RestError } from '@azure/storage-blob';
import { systemClock } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { SuiteError } from '../errors.ts';
import { BlobError, READING, blobError } from './blob-errors.ts';
import type { BlobFailure, BlobNeeds } from './blob-errors.ts';
import type { ManagedIdentity } from './managed-identity.ts';
import { sasFacts } from './sas.ts';

export interface ContainerPlace {
  /** Base address with the account: `https://abc.blob.core.windows.net`. */
  readonly endpoint: string;
  readonly container: string;
}

export interface BlobRequestsOptions {
  readonly place: ContainerPlace;
  /** Asked at each request, so that a rotated SAS is used from the next one on. */
  readonly sas: () => string;
  /** Opens the container instead of a SAS, over https alone. */
  readonly identity?: ManagedIdentity | undefined;
  /** How long the service may be silent, in the middle of an answer too. */
  readonly stallTimeoutMs: number;
  readonly clock?: Clock;
}

export interface BlobRequest<T> {
  /** A gerund with account, container and blob, for texts. */
  readonly doing: string;
  readonly needs?: BlobNeeds;
  readonly signal: AbortSignal;
  /** Longer than the stall time-out by so many milliseconds: for what is on its way without a sign of it. */
  readonly extraMs?: number;
  /** `alive` is to be called whenever something moves. */
  readonly call: (container: ContainerClient, abortSignal: AbortSignal, alive: () => void) => Promise<T>;
}

/** Requests to one container, each a single attempt with a stall timer, whose failures say what to do. */
export class BlobRequests {
  /** For texts: account and container, without the SAS. */
  readonly name: string;
  readonly clock: Clock;
  readonly #options: BlobRequestsOptions;
  #client: { readonly sas: string; readonly container: ContainerClient } | undefined;

  constructor(options: BlobRequestsOptions) {
    this.#options = options;
    this.clock = options.clock ?? systemClock;
    this.name = `${new URL(options.place.endpoint).host}/${options.place.container}`;
  }

  async run<T>({ doing, needs = READING, signal, extraMs = 0, call }: BlobRequest<T>): Promise<T> {
    const stallTimeoutMs = this.#options.stallTimeoutMs + extraMs;
    const { identity } = this.#options;
    const sas = identity === undefined ? this.#options.sas() : '';
    const container = await this.#open(sas);
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
    let cancel = this.clock.after(stallTimeoutMs, stall);
    const alive = (): void => {
      cancel();
      if (!abort.signal.aborted) cancel = this.clock.after(stallTimeoutMs, stall);
    };
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    try {
      return await Promise.race([call(container, abort.signal, alive), ended]);
    } catch (error) {
      if (watch.isStalled) {
        throw new BlobError('NETWORK_STALLED', `${doing}: nothing moved for ${stallTimeoutMs} ms`);
      }
      if (error instanceof SuiteError) throw error;
      const access = identity === undefined ? sasFacts(sas) : 'managedIdentity';
      throw blobError(doing, readFailure(error), access, needs);
    } finally {
      // What the call still does must not start the timer again.
      abort.abort();
      cancel();
      signal.removeEventListener('abort', stop);
    }
  }

  async #open(sas: string): Promise<ContainerClient> {
    if (this.#client?.sas === sas) return this.#client.container;
    // Loaded when first needed: it takes a quarter of a second and 40 MB.
    const { AnonymousCredential, ContainerClient, newPipeline } = await import('@azure/storage-blob');
    const { place, identity } = this.#options;
    const pipeline = newPipeline(identity ?? new AnonymousCredential(), { retryOptions: { maxTries: 1 } });
    const container = new ContainerClient(containerUrl(place) + (sas === '' ? '' : `?${sas}`), pipeline);
    this.#client = { sas, container };
    return container;
  }
}

/** Without the SAS. */
export function containerUrl({ endpoint, container }: ContainerPlace): string {
  return `${endpoint.replace(/\/+$/, '')}/${encodeURIComponent(container)}`;
}

export function readFailure(error: unknown): BlobFailure {
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
