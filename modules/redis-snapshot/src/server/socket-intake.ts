import type { OnReadOpts, Socket } from 'node:net';
import { deadline, sleep } from '@iotedge-redis/common';
import { MemoryInTurn } from '../memory-in-turn.ts';

export interface IntakePace {
  /** Rejects with `late()` when nothing comes for so long. */
  readonly silenceMs: number;
  readonly late: () => Error;
  /**
   * Looks at the socket no more often than that, and takes all there is at once: a sender of many small pieces would else have to share
   * its processor with a reader that wakes up for each of them.
   */
  readonly everyMs?: number;
}

/** Of what comes as fast as that nobody waits for more. */
const STEP_BYTES = 256 * 1024;
/** Enough for what is no file. */
const FIRST_BYTES = 64 * 1024;
/** What is kept before the peer is held back. */
const AHEAD_BYTES = 1024 * 1024;

/** What comes in on a socket. To be made before it, since a socket has to be told where its bytes go. */
export class SocketIntake {
  readonly onread: OnReadOpts;
  readonly #isTls: boolean;
  /** What comes in here is copied, unless it is the first of what is taken in turn. */
  readonly #first = Buffer.allocUnsafeSlow(FIRST_BYTES);
  readonly #memory = new MemoryInTurn(STEP_BYTES);
  #socket: Socket | undefined;
  #pieces: Buffer[] = [];
  #bytes = 0;
  #everyMs = 0;
  #isPaused = false;
  #givenAt = 0;
  /** There is more than was taken in the last step. */
  #isBehind = false;
  #failure: Error | undefined;
  #hasEnded = false;
  #wake: () => void = () => undefined;

  constructor({ isTls }: { readonly isTls: boolean }) {
    this.#isTls = isTls;
    this.onread = {
      buffer: () => (this.#isInTurn ? this.#memory.next() : this.#first),
      callback: (size, buffer) => this.#take(buffer, size),
    };
  }

  attach(socket: Socket): void {
    this.#socket = socket;
    const end = (): void => {
      this.#hasEnded = true;
      this.#wake();
    };
    socket
      .on('end', end)
      .on('error', (error) => (this.#failure ??= error))
      .on('close', end);
  }

  /**
   * Whatever came in, at least one byte; undefined when the peer closed the connection. With `everyMs` its memory may be used again once
   * the next but one is asked for.
   */
  async next({ silenceMs, late, everyMs = 0 }: IntakePace): Promise<Buffer | undefined> {
    this.#everyMs = everyMs;
    const restMs = this.#givenAt + everyMs - performance.now();
    if (restMs >= 1 && !this.#isBehind && !this.#hasEnded) await sleep(restMs);
    for (;;) {
      if (this.#pieces.length > 0) return this.#all();
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#hasEnded) return undefined;
      const arrived = new Promise<void>((resolve) => (this.#wake = resolve));
      if (this.#isPaused) this.#resume();
      await deadline(arrived, silenceMs, undefined, late);
    }
  }

  /** TLS takes small records out of what the network brought, and would give no more than that after each pause. */
  get #isInTurn(): boolean {
    return this.#everyMs > 0 && !this.#isTls;
  }

  /** False holds the peer back. */
  #take(memory: Uint8Array, size: number): boolean {
    const piece = Buffer.from(memory.buffer, memory.byteOffset, size);
    this.#pieces.push(this.#isInTurn ? piece : Buffer.from(piece));
    this.#bytes += size;
    this.#isBehind = this.#bytes >= STEP_BYTES || (this.#isInTurn && size === memory.length);
    this.#isPaused = this.#isInTurn || this.#bytes >= AHEAD_BYTES;
    this.#wake();
    return !this.#isPaused;
  }

  #all(): Buffer {
    const [first] = this.#pieces;
    const all = this.#pieces.length === 1 && first !== undefined ? first : Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#bytes = 0;
    this.#givenAt = performance.now();
    return all;
  }

  #resume(): void {
    this.#isPaused = false;
    this.#socket?.resume();
  }
}
