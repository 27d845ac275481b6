/** A stream that is no MQTT, or a packet beyond the limit. */
export class FrameError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'FrameError';
  }
}

/** Cuts a byte stream into whole MQTT packets and refuses too large ones by their header, before their body has come. */
export class Framer {
  readonly #limit: number;
  #rest: Buffer = Buffer.alloc(0);

  /** @param limit largest "remaining length" [MQTT-2.2.3] */
  constructor(limit: number) {
    this.#limit = limit;
  }

  *push(chunk: Buffer): Generator<Buffer> {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const length = this.#packetLength();
      if (length === undefined || this.#rest.length < length) return;
      const packet = this.#rest.subarray(0, length);
      this.#rest = this.#rest.subarray(length);
      yield packet;
    }
  }

  /** Fixed header, "remaining length" of up to four bytes with seven bits each, body. */
  #packetLength(): number | undefined {
    let remaining = 0;
    for (let index = 1; index <= 4; index += 1) {
      const byte = this.#rest[index];
      if (byte === undefined) return undefined;
      remaining += (byte & 0x7f) * 128 ** (index - 1);
      if (remaining > this.#limit) {
        throw new FrameError(`a packet of ${remaining} bytes or more; ${this.#limit} is the limit`);
      }
      if ((byte & 0x80) === 0) return 1 + index + remaining;
    }
    throw new FrameError('a packet length of more than four bytes');
  }
}
