/** Told of each acknowledgement: the packet's identifier and its reason code, 0 when the packet has none. */
export type OnPuback = (messageId: number, reasonCode: number) => void;

const PUBACK = 0x40;

/**
 * Takes the PUBACKs of our own publishes out of what the broker sends, and answers the rest as it came. A busy connection
 * receives hardly anything else, and the library needs several times as long for each. (MQTT 5, 2.1 and 3.4.)
 */
export class FrameSplitter {
  readonly #isOurs: (messageId: number) => boolean;
  readonly #onPuback: OnPuback;
  #rest: Buffer | undefined;

  constructor(isOurs: (messageId: number) => boolean, onPuback: OnPuback) {
    this.#isOurs = isOurs;
    this.#onPuback = onPuback;
  }

  /** The parts of `data`, and of what was left over before, that are for the library. */
  take(data: Buffer): Buffer[] {
    const bytes = this.#rest === undefined ? data : Buffer.concat([this.#rest, data]);
    const forLibrary: Buffer[] = [];
    let at = 0;
    let start = 0;
    for (;;) {
      const end = frameEnd(bytes, at);
      if (end === undefined) break;
      const isPuback = bytes[at] === PUBACK && end - at >= 4;
      // A PUBACK is short: its remaining length takes one byte.
      const messageId = isPuback ? ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0) : 0;
      if (isPuback && this.#isOurs(messageId)) {
        if (start < at) forLibrary.push(bytes.subarray(start, at));
        start = end;
        this.#onPuback(messageId, end - at > 4 ? (bytes[at + 4] ?? 0) : 0);
      }
      at = end;
    }
    if (start < at) forLibrary.push(bytes.subarray(start, at));
    this.#rest = at < bytes.length ? bytes.subarray(at) : undefined;
    return forLibrary;
  }
}

/** Where the packet that begins at `at` ends, or undefined when it is not there completely. */
function frameEnd(bytes: Buffer, at: number): number | undefined {
  let length = 0;
  let factor = 1;
  for (let n = 1; n <= 4; n += 1) {
    const byte = bytes[at + n];
    if (byte === undefined) return undefined;
    length += (byte & 0x7f) * factor;
    if (byte < 0x80) {
      const end = at + 1 + n + length;
      return end <= bytes.length ? end : undefined;
    }
    factor *= 128;
  }
  // No MQTT: the library sees it and ends the connection.
  return bytes.length;
}
