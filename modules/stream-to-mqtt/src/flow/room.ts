import type { TokenBucket } from '@iotedge-redis/common';

export interface RoomOptions {
  readonly batchSize: number;
  readonly messageBucket: TokenBucket | undefined;
  readonly byteBucket: TokenBucket | undefined;
}

/** What the outbox has in hand. */
interface Held {
  readonly held: number;
  readonly heldBytes: number;
}

/** In hand at a time, and in one answer of Redis. */
export const MAX_HELD_BYTES = 8 * 1024 * 1024;

/** How much may be read: what the window can soon send, within the bytes that may be in hand and the rate caps. */
export class Room {
  readonly #options: RoomOptions;
  /** Unknown at first: a guess on the large side makes the first read a small one. */
  #averageBytes = 512 * 1024;

  constructor(options: RoomOptions) {
    this.#options = options;
  }

  took(bytes: number): void {
    this.#options.messageBucket?.spend(1);
    this.#options.byteBucket?.spend(bytes);
    this.#averageBytes += (Math.max(64, bytes) - this.#averageBytes) / 32;
  }

  /** Entries; 0 when it is not worth a read. */
  entries({ held, heldBytes }: Held, window: number): number {
    const { batchSize, messageBucket, byteBucket } = this.#options;
    if (byteBucket?.available() === 0) return 0;
    const capacity = window + Math.max(window, batchSize);
    const byBytes = Math.floor((MAX_HELD_BYTES - heldBytes) / this.#averageBytes);
    const free = Math.min(capacity - held, held === 0 ? Math.max(1, byBytes) : byBytes);
    // Many small reads would cost more than they bring while there is enough to send.
    const most = Math.min(capacity, MAX_HELD_BYTES / this.#averageBytes);
    if (free < Math.min(batchSize, most / 4) && held > 0) return 0;
    return Math.max(0, messageBucket === undefined ? free : Math.min(free, messageBucket.available()));
  }

  /** Milliseconds until a rate cap lets the next entry be read. */
  waitMs(): number {
    const { messageBucket, byteBucket } = this.#options;
    return Math.max(messageBucket?.waitMs() ?? 0, byteBucket?.waitMs() ?? 0);
  }
}
