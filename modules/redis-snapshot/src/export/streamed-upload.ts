import { SuiteError, sleep } from '@iotedge-redis/common';
import { BlockUpload, blockBytes } from './block-upload.ts';
import type { BlockUploadOptions } from './block-upload.ts';

/**
 * The server gives a reader up that takes nothing for 60 s (repl-timeout); every so often some is taken although the storage
 * does not keep up.
 */
const DRIP_MS = 15_000;
const DRIP_BYTES = 1024 * 1024;
/** What may wait for the storage in the end: five minutes of standstill. */
const RESERVE_BYTES = 20 * DRIP_BYTES;

/** Makes blocks of what comes in and uploads them, in bounded memory, while the server is kept waiting but never for too long. */
export class StreamedUpload {
  readonly #options: BlockUploadOptions;
  readonly #upload: BlockUpload;
  /** Blocks that wait for the upload, and the one that is being filled. */
  readonly #full: Buffer[] = [];
  #block: Buffer | undefined;
  #filled = 0;
  /** Of all these together. */
  #bytes = 0;
  #blocks = 0;
  #dripped = 0;
  #busy: Promise<void> | undefined;
  #failure: Error | undefined;

  constructor(options: BlockUploadOptions) {
    this.#options = options;
    this.#upload = new BlockUpload(options);
  }

  /** Resolves when more may come; the memory of the pieces is the caller's again then. */
  async write(pieces: readonly Buffer[]): Promise<void> {
    for (const piece of pieces) this.#fill(piece);
    this.#begin();
    while (this.#busy !== undefined && this.#bytes >= blockBytes(this.#blocks)) {
      const limit = blockBytes(this.#blocks) + this.#dripped;
      if (this.#bytes < limit) return;
      const isFree = await this.#freeWithin(DRIP_MS);
      if (this.#failure !== undefined) throw this.#failure;
      if (isFree) {
        this.#begin();
        continue;
      }
      this.#dripped += DRIP_BYTES;
      if (this.#dripped > RESERVE_BYTES) {
        throw new SuiteError(
          'BLOB_UNAVAILABLE',
          'uploading the snapshot: the storage has taken nothing for minutes, and Redis cannot be kept waiting any longer; exportSpool=volume does not keep it waiting',
          { retryable: true },
        );
      }
      return;
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  async finish(): Promise<readonly string[]> {
    for (;;) {
      await this.#busy;
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#bytes === 0) return this.#upload.finish();
      this.#begin(true);
    }
  }

  #fill(piece: Buffer): void {
    for (let at = 0; at < piece.length;) {
      this.#block ??= this.#upload.memory.lend(blockBytes(this.#blocks + this.#full.length));
      const copied = piece.copy(this.#block, this.#filled, at);
      at += copied;
      this.#filled += copied;
      this.#bytes += copied;
      if (this.#filled < this.#block.length) continue;
      this.#full.push(this.#block);
      this.#block = undefined;
      this.#filled = 0;
    }
  }

  /** Hands a block on when there is one and the upload has room. */
  #begin(isLast = false): void {
    if (this.#busy !== undefined) return;
    const block = this.#full.shift() ?? (isLast ? this.#block?.subarray(0, this.#filled) : undefined);
    if (block === undefined) return;
    this.#bytes -= block.length;
    this.#blocks += 1;
    this.#dripped = 0;
    this.#busy = this.#upload.add(block).then(
      () => {
        this.#busy = undefined;
      },
      (error: unknown) => {
        this.#busy = undefined;
        this.#failure ??= error instanceof Error ? error : new Error(String(error));
      },
    );
  }

  async #freeWithin(ms: number): Promise<boolean> {
    const waited = new AbortController();
    const signal = AbortSignal.any([this.#options.signal, waited.signal]);
    try {
      return await Promise.race([
        (this.#busy ?? Promise.resolve()).then(() => true),
        sleep(ms, signal).then(
          () => false,
          () => this.#options.signal.aborted,
        ),
      ]);
    } finally {
      waited.abort();
    }
  }
}
