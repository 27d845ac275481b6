import { Duplex } from 'node:stream';
import type { FrameSplitter } from './frame-splitter.ts';
import type { PublishParts } from './publish-packet.ts';
import { publishSize, writePublish } from './publish-packet.ts';

const CHUNK = 64 * 1024;
const DIRECT = 16 * 1024;
const MAX_SPARE = 4;

/**
 * Stands between the MQTT library and a socket. The library writes a packet in half a dozen small pieces; here they are
 * gathered until the end of the turn of the event loop and go out in one write.
 */
export class GatheringStream extends Duplex {
  /** Takes the acknowledgements of `publish` out of what the library gets to read. */
  splitter: FrameSplitter | undefined;
  readonly #socket: Duplex;
  readonly #spare: Buffer[] = [];
  #buffer: Buffer = Buffer.allocUnsafe(CHUNK);
  #length = 0;
  #isScheduled = false;

  constructor(socket: Duplex) {
    super({ allowHalfOpen: false, autoDestroy: true });
    this.#socket = socket;
    socket.on('data', (data: Buffer) => {
      for (const part of this.splitter?.take(data) ?? [data]) if (!this.push(part)) socket.pause();
    });
    socket.on('end', () => this.push(null));
    socket.on('close', () => this.destroy());
    socket.on('error', (error: Error) => this.destroy(error));
  }

  override _read(): void {
    this.#socket.resume();
  }

  override write(chunk: unknown, encoding?: unknown, callback?: unknown): boolean {
    const done = typeof encoding === 'function' ? encoding : callback;
    if (typeof chunk === 'string') this.#addText(chunk);
    else if (chunk instanceof Uint8Array) this.#addBytes(chunk);
    this.#schedule();
    if (typeof done === 'function') (done as () => void)();
    // The window bounds what is under way, so nobody has to wait for the socket.
    return true;
  }

  /** Writes a PUBLISH past the library, straight into what is gathered. */
  publish(parts: PublishParts): void {
    const size = publishSize(parts);
    if (size > DIRECT) {
      const packet = Buffer.allocUnsafe(size);
      writePublish(parts, packet, 0);
      this.#addBytes(packet);
      return;
    }
    if (this.#length + size > CHUNK) this.#flush();
    this.#length = writePublish(parts, this.#buffer, this.#length);
    this.#schedule();
  }

  override cork(): void {
    // Gathering does the same for longer.
  }

  override uncork(): void {
    // See cork.
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#flush();
    this.#socket.end(callback);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#length = 0;
    this.#socket.destroy();
    callback(error);
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.#flush());
  }

  #addText(text: string): void {
    // Three bytes are the most that one unit of UTF-16 takes in UTF-8.
    if (text.length * 3 > DIRECT) {
      this.#addBytes(Buffer.from(text));
      return;
    }
    if (this.#length + text.length * 3 > CHUNK) this.#flush();
    this.#length += this.#buffer.write(text, this.#length);
  }

  #addBytes(bytes: Uint8Array): void {
    if (this.#length + bytes.length > CHUNK) this.#flush();
    if (bytes.length > DIRECT) {
      this.#flush();
      this.#socket.write(bytes);
      return;
    }
    if (bytes.length < 8) for (const byte of bytes) this.#buffer[this.#length++] = byte;
    else {
      this.#buffer.set(bytes, this.#length);
      this.#length += bytes.length;
    }
  }

  #flush(): void {
    this.#isScheduled = false;
    if (this.#length === 0 || this.destroyed) return;
    const full = this.#buffer;
    const length = this.#length;
    this.#buffer = this.#spare.pop() ?? Buffer.allocUnsafe(CHUNK);
    this.#length = 0;
    // The socket keeps what it was given until it is sent; then it serves again.
    this.#socket.write(full.subarray(0, length), () => {
      if (this.#spare.length < MAX_SPARE) this.#spare.push(full);
    });
  }
}
