import { crc64 } from '@iotedge-redis/common';
import type { BlobContainer, Patience } from '@iotedge-redis/common/blob';
import { blockId } from '../storage/block-id.ts';

export interface BlockUploadOptions {
  readonly container: BlobContainer;
  readonly blob: string;
  readonly patience: Patience;
  readonly signal: AbortSignal;
  /** Told of each block that the service has, in bytes. */
  readonly onUploaded: (bytes: number) => void;
}

/** The service takes 50,000 blocks: with the larger ones from there on a blob may have 640 GiB. */
const LARGER_FROM = 10_000;
const BLOCK_BYTES = 4 * 1024 * 1024;
const LARGER_BLOCK_BYTES = 16 * 1024 * 1024;
const CONCURRENCY = 4;

export function blockBytes(index: number): number {
  return index < LARGER_FROM ? BLOCK_BYTES : LARGER_BLOCK_BYTES;
}

/** Stages the blocks of one blob, a few at a time. Blocks that an earlier start has staged are known again by id and length. */
export class BlockUpload {
  readonly #options: BlockUploadOptions;
  readonly #ids: string[] = [];
  readonly #underWay = new Set<Promise<void>>();
  #known: Promise<ReadonlyMap<string, number>> | undefined;
  #failure: Error | undefined;

  constructor(options: BlockUploadOptions) {
    this.#options = options;
  }

  /** Resolves when there is room for another one; rejects when a block cannot be staged. */
  async add(bytes: Buffer): Promise<void> {
    const crc = crc64(bytes);
    const id = blockId(this.#ids.length, crc);
    this.#ids.push(id);
    const upload = this.#stage(id, crc, bytes).catch((error: unknown) => {
      this.#failure ??= error instanceof Error ? error : new Error(String(error));
    });
    const tracked = upload.finally(() => this.#underWay.delete(tracked));
    this.#underWay.add(tracked);
    while (this.#underWay.size >= CONCURRENCY && this.#failure === undefined)
      await Promise.race(this.#underWay);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Resolves with the ids, in order, when the service has all blocks. */
  async finish(): Promise<readonly string[]> {
    await Promise.all(this.#underWay);
    if (this.#failure !== undefined) throw this.#failure;
    return this.#ids;
  }

  async #stage(id: string, crc: Buffer, bytes: Buffer): Promise<void> {
    const { container, blob, patience, signal, onUploaded } = this.#options;
    const known = await (this.#known ??= this.#staged());
    if (known.get(id) !== bytes.length)
      await patience.until(() => container.stage(blob, { id, bytes, crc }, signal));
    onUploaded(bytes.length);
  }

  async #staged(): Promise<ReadonlyMap<string, number>> {
    const { container, blob, patience, signal } = this.#options;
    const blocks = await patience.until(() => container.staged(blob, signal));
    return new Map(blocks.map(({ id, bytes }) => [id, bytes]));
  }
}
