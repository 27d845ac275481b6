import { Readable } from 'node:stream';
import type { ContainerClient } from '@azure/storage-blob';
import { BlobError } from './blob-errors.ts';
import type { BlobNeeds } from './blob-errors.ts';
import { BlobRequests, containerUrl } from './blob-requests.ts';
import type { BlobRequestsOptions, ContainerPlace } from './blob-requests.ts';

export interface BlobContainerOptions extends BlobRequestsOptions {
  /** The settings that name the container and open it, for texts. */
  readonly settings?: { readonly container: string; readonly sas: string };
}

export interface ListedBlob {
  readonly name: string;
  readonly etag: string;
  readonly length: number;
  /** Milliseconds since 1970, by the service's clock. */
  readonly modifiedAt: number;
}

export interface StoredBlob {
  readonly etag: string;
  readonly length: number;
  readonly metadata: Readonly<Record<string, string>>;
  /** Of the last server-side copy onto this blob. */
  readonly copy: { readonly id: string; readonly status: string; readonly reason: string } | undefined;
}

export interface Block {
  readonly id: string;
  readonly bytes: number;
}

/** Holds the SAS or a token, so never for a text. */
export interface CopySource {
  readonly url: string;
  /** Of the managed identity that the source is opened by, where it is not a SAS in the URL. */
  readonly token: string | undefined;
}

export interface CommitOptions {
  readonly metadata?: Readonly<Record<string, string>>;
  readonly contentType?: string;
}

type Call<T> = (container: ContainerClient, abortSignal: AbortSignal, alive: () => void) => Promise<T>;

/** Piece in which an upload hands its bytes on: the stall timer starts anew with each. */
const PIECE_BYTES = 64 * 1024;

/** Writes, lists and copies the blobs of one container. Each call is one attempt: whoever calls decides about the next. */
export class BlobContainer {
  readonly #requests: BlobRequests;
  readonly #options: BlobContainerOptions;

  constructor(options: BlobContainerOptions) {
    this.#options = options;
    this.#requests = new BlobRequests(options);
  }

  /** For texts: account and container, without the SAS. */
  get name(): string {
    return this.#requests.name;
  }

  get place(): ContainerPlace {
    return this.#options.place;
  }

  /** What a server-side copy reads from. Made at each attempt, since SAS and token are renewed. */
  async copySource(blob: string): Promise<CopySource> {
    const { place, sas, identity } = this.#options;
    const url = `${containerUrl(place)}/${blob.split('/').map(encodeURIComponent).join('/')}`;
    if (identity === undefined) return { url: `${url}?${sas()}`, token: undefined };
    return { url, token: (await identity.getToken()).token };
  }

  /**
   * Uploads one block; the service holds it against its CRC64. It belongs to no blob until it is committed. What the network's buffers
   * have taken shows no sign of its way over the link: `extraMs` is how long that may take.
   */
  async stage(
    blob: string,
    block: { readonly id: string; readonly bytes: Buffer; readonly crc: Buffer },
    extraMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    const { id, bytes, crc } = block;
    const upload: Call<void> = async (container, abortSignal, alive) => {
      await container
        .getBlockBlobClient(blob)
        .stageBlock(id, () => Readable.from(pieces(bytes), { objectMode: false }), bytes.length, {
          abortSignal,
          transactionalContentCrc64: crc,
          onProgress: alive,
        });
    };
    await this.#run('writing', 'w', blob, signal, upload, extraMs);
  }

  /** Blocks that are there but not committed yet; none when there is no such blob. */
  async staged(blob: string, signal: AbortSignal): Promise<readonly Block[]> {
    return this.#blocks(blob, 'uncommitted', signal);
  }

  /** Blocks that the blob is made of, in order; none when it was uploaded in one piece. */
  async committed(blob: string, signal: AbortSignal): Promise<readonly Block[]> {
    return this.#blocks(blob, 'committed', signal);
  }

  /** Makes the blob of the staged blocks, at once and as a whole. Resolves with its ETag. */
  async commit(
    blob: string,
    ids: readonly string[],
    { metadata = {}, contentType = 'application/octet-stream' }: CommitOptions,
    signal: AbortSignal,
  ): Promise<string> {
    return this.#run('committing', 'w', blob, signal, async (container, abortSignal) => {
      const answer = await container.getBlockBlobClient(blob).commitBlockList([...ids], {
        abortSignal,
        metadata: { ...metadata },
        blobHTTPHeaders: { blobContentType: contentType },
      });
      return answer.etag ?? '';
    });
  }

  /** Writes a small blob in one request. */
  async put(blob: string, content: Buffer, contentType: string, signal: AbortSignal): Promise<string> {
    return this.#run('writing', 'w', blob, signal, async (container, abortSignal) => {
      const answer = await container.getBlockBlobClient(blob).upload(content, content.length, {
        abortSignal,
        blobHTTPHeaders: { blobContentType: contentType },
      });
      return answer.etag ?? '';
    });
  }

  /** A small blob as a whole; undefined when there is none. TOO_LARGE is a reason of its own: REQUEST_INVALID. */
  async get(blob: string, maxBytes: number, signal: AbortSignal): Promise<Buffer | undefined> {
    return this.#orNone(() =>
      this.#run('reading', 'r', blob, signal, async (container, abortSignal) => {
        const client = container.getBlobClient(blob);
        const { contentLength = 0 } = await client.getProperties({ abortSignal });
        if (contentLength > maxBytes) {
          throw new BlobError(
            'REQUEST_INVALID',
            `reading ${this.name}/${blob}: longer than ${maxBytes} bytes; it is not one of this module`,
          );
        }
        return contentLength === 0
          ? Buffer.alloc(0)
          : await client.downloadToBuffer(0, contentLength, { abortSignal });
      }),
    );
  }

  /** Undefined when there is no such blob. */
  async head(blob: string, signal: AbortSignal): Promise<StoredBlob | undefined> {
    return this.#orNone(() =>
      this.#run('looking at', 'r', blob, signal, async (container, abortSignal) => {
        const found = await container.getBlobClient(blob).getProperties({ abortSignal });
        return {
          etag: found.etag ?? '',
          length: found.contentLength ?? 0,
          metadata: found.metadata ?? {},
          copy:
            found.copyId === undefined
              ? undefined
              : {
                  id: found.copyId,
                  status: found.copyStatus ?? '',
                  reason: found.copyStatusDescription ?? '',
                },
        };
      }),
    );
  }

  /** All blobs whose names begin so, by name. */
  async list(prefix: string, signal: AbortSignal): Promise<readonly ListedBlob[]> {
    return this.#run('listing', 'l', prefix, signal, async (container, abortSignal, alive) => {
      const found: ListedBlob[] = [];
      for await (const { name, properties } of container.listBlobsFlat({ prefix, abortSignal })) {
        alive();
        found.push({
          name,
          etag: properties.etag,
          length: properties.contentLength ?? 0,
          modifiedAt: properties.lastModified.getTime(),
        });
      }
      return found;
    });
  }

  /** True when there was one. */
  async delete(blob: string, signal: AbortSignal): Promise<boolean> {
    return this.#run('deleting', 'd', blob, signal, async (container, abortSignal) => {
      const { succeeded } = await container.getBlobClient(blob).deleteIfExists({ abortSignal });
      return succeeded;
    });
  }

  /** The service itself fetches one block from elsewhere, and refuses it when its CRC64 is another one. */
  async stageFrom(
    blob: string,
    block: Block & { readonly offset: number; readonly source: CopySource },
    crc: Buffer | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const { url, token } = block.source;
    await this.#run('copying to', 'w', blob, signal, async (container, abortSignal) => {
      await container.getBlockBlobClient(blob).stageBlockFromURL(block.id, url, block.offset, block.bytes, {
        abortSignal,
        ...(crc === undefined ? {} : { sourceContentCrc64: crc }),
        ...(token === undefined ? {} : { sourceAuthorization: { scheme: 'Bearer', value: token } }),
      });
    });
  }

  /** Begins a copy of a whole blob by the service, which goes on by itself; `head` tells how it goes. */
  async startCopy(
    blob: string,
    source: { readonly url: string; readonly etag: string },
    signal: AbortSignal,
  ): Promise<void> {
    await this.#run('copying to', 'w', blob, signal, async (container, abortSignal) => {
      await container.getBlobClient(blob).beginCopyFromURL(source.url, {
        abortSignal,
        sourceConditions: { ifMatch: source.etag },
      });
    });
  }

  async #blocks(blob: string, kind: 'committed' | 'uncommitted', signal: AbortSignal) {
    const blocks = await this.#orNone(() =>
      this.#run('looking at', 'r', blob, signal, async (container, abortSignal) => {
        const answer = await container.getBlockBlobClient(blob).getBlockList(kind, { abortSignal });
        const found = (kind === 'committed' ? answer.committedBlocks : answer.uncommittedBlocks) ?? [];
        return found.map(({ name, size }): Block => ({ id: name, bytes: size }));
      }),
    );
    return blocks ?? [];
  }

  async #orNone<T>(request: () => Promise<T>): Promise<T | undefined> {
    try {
      return await request();
    } catch (error) {
      if (error instanceof BlobError && error.reason === 'BLOB_NOT_FOUND') return undefined;
      throw error;
    }
  }

  #run<T>(
    doing: string,
    permissions: string,
    blob: string,
    signal: AbortSignal,
    call: Call<T>,
    extraMs = 0,
  ): Promise<T> {
    const settings = this.#options.settings ?? { container: 'blobContainerName', sas: 'blobSasToken' };
    const needs: BlobNeeds = { permissions, ...settings };
    return this.#requests.run({ doing: `${doing} ${this.name}/${blob}`, needs, signal, extraMs, call });
  }
}

function* pieces(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
}
