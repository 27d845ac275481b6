/** One that the caller has, one that it may still hold an end of, one to be filled. */
const BUFFERS = 3;

/** Memory for a caller that is done with a piece when it asks for the next but one. */
export class MemoryInTurn {
  readonly #bytes: number;
  readonly #buffers: Buffer[] = [];

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /** The buffer to be filled next; made when it is first needed. */
  next(): Buffer {
    const oldest = this.#buffers.length === BUFFERS ? this.#buffers.shift() : undefined;
    const next = oldest ?? Buffer.allocUnsafeSlow(this.#bytes);
    this.#buffers.push(next);
    return next;
  }
}
