/** Of these at most so many lie idle. */
const MOST_FREE = 5;

/**
 * Memory for blocks, used again once a block is done with: each is as large as a part of the heap, and what is allocated outside of the
 * heap makes the garbage collector go through all of it.
 */
export class BlockMemory {
  #free: Buffer[] = [];
  readonly #lent = new Set<Buffer>();

  /** Memory of just so many bytes; what is in there is of no meaning. */
  lend(bytes: number): Buffer {
    const index = this.#free.findIndex(({ length }) => length >= bytes);
    const whole = this.#free.splice(index, index < 0 ? 0 : 1)[0] ?? Buffer.allocUnsafeSlow(bytes);
    const block = whole.subarray(0, bytes);
    this.#lent.add(block);
    return block;
  }

  /** Takes back what nobody reads any more; anything that was not lent here stays its owner's. */
  giveBack(block: Buffer): void {
    if (!this.#lent.delete(block)) return;
    // The newest ones are the largest.
    this.#free = [...this.#free, Buffer.from(block.buffer)].slice(-MOST_FREE);
  }
}
