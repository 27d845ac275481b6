import { crc64, systemClock } from '@iotedge-redis/common';
import { BlobError } from '@iotedge-redis/common/blob';
import type { BlobContainer, Patience } from '@iotedge-redis/common/blob';
import { blockId } from '../storage/block-id.ts';
import { BlockMemory } from './block-memory.ts';

export interface BlockUploadOptions {
  readonly container: BlobContainer;
  readonly blob: string;
  readonly patience: Patience;
  readonly signal: AbortSignal;
  /** Told of each block that the service has, in bytes. */
  readonly onUploaded: (bytes: number) => void;
}

/**
 * The upload of a small snapshot ends soon behind its file when its last block is a small one; in a large one they would be many. The
 * service takes 50,000 blocks: with the largest ones a blob may have 664 GiB.
 */
const BLOCKS = [
  { from: 10_000, bytes: 16 * 1024 * 1024 },
  { from: 64, bytes: 4 * 1024 * 1024 },
] as const;
const FIRST_BLOCK_BYTES = 1024 * 1024;
const MOST_AT_ONCE = 4;
/** With a block faster than this another one may go beside it, with a slower one fewer. */
const FAST_MS = 2000;
const SLOW_MS = 8000;
/** What a link is taken for until a block went over it; halved with each standstill. */
const FIRST_BYTES_PER_MS = 256;
const MOST_EXTRA_MS = 600_000;

export function blockBytes(index: number): number {
  return BLOCKS.find(({ from }) => index >= from)?.bytes ?? FIRST_BLOCK_BYTES;
}

/** Stages the blocks of one blob, a few at a time. Blocks that an earlier start has staged are known again by id and length. */
export class BlockUpload {
  /** What was lent there comes back by itself when the service has the block. */
  readonly memory = new BlockMemory();
  readonly #options: BlockUploadOptions;
  readonly #ids: string[] = [];
  readonly #underWay = new Set<Promise<void>>();
  readonly #known: Promise<ReadonlyMap<string, number>>;
  #failure: Error | undefined;
  #atOnce = 1;
  /** Of one block beside the others. */
  #bytesPerMs = FIRST_BYTES_PER_MS;

  constructor(options: BlockUploadOptions) {
    this.#options = options;
    // Asked at once, so that no block waits for the answer when it comes.
    this.#known = this.#staged();
    this.#known.catch(() => undefined);
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
    while (this.#underWay.size >= this.#atOnce && this.#failure === undefined)
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
    const { patience, onUploaded } = this.#options;
    const known = await this.#known;
    if (known.get(id) !== bytes.length) await patience.until(() => this.#attempt({ id, bytes, crc }));
    // Should an attempt that was given up still send of it: the service holds what comes against that attempt's CRC64.
    this.memory.giveBack(bytes);
    onUploaded(bytes.length);
  }

  /** The faster the link has been, the sooner a standstill is taken for one. */
  async #attempt(block: {
    readonly id: string;
    readonly bytes: Buffer;
    readonly crc: Buffer;
  }): Promise<void> {
    const { container, blob, signal } = this.#options;
    const { length } = block.bytes;
    const startedAt = systemClock.now();
    try {
      await container.stage(blob, block, Math.min(MOST_EXTRA_MS, (2 * length) / this.#bytesPerMs), signal);
    } catch (error) {
      if (error instanceof BlobError && error.reason === 'NETWORK_STALLED') this.#bytesPerMs /= 2;
      this.#atOnce = 1;
      throw error;
    }
    const tookMs = systemClock.now() - startedAt;
    this.#bytesPerMs = Math.max(1, length / Math.max(1, tookMs));
    if (tookMs < FAST_MS) this.#atOnce = Math.min(MOST_AT_ONCE, this.#atOnce + 1);
    else if (tookMs > SLOW_MS) this.#atOnce = Math.max(1, this.#atOnce - 1);
  }

  async #staged(): Promise<ReadonlyMap<string, number>> {
    const { container, blob, patience, signal } = this.#options;
    const blocks = await patience.until(() => container.staged(blob, signal));
    return new Map(blocks.map(({ id, bytes }) => [id, bytes]));
  }
}
