import { SuiteError } from '@iotedge-redis/common';

/** LZ4 frame format 1.6: the magic number, and the bits of its flags. */
const MAGIC = 0x184d2204;
const HAS_BLOCK_CHECKSUM = 0x10;
const HAS_CONTENT_SIZE = 0x08;
const HAS_CONTENT_CHECKSUM = 0x04;
const HAS_DICTIONARY = 0x01;
/** Highest bit of a block's size: its bytes are as they were. */
const STORED = 0x80000000;

/** A match is at least so long. */
const MIN_MATCH = 4;

/**
 * Unpacks an LZ4 frame of at most so many bytes. Written here since the packages for it are native, which images for ARM cannot build, or unmaintained;
 * checksums are not looked at, for the record batch around the frame has one of its own.
 */
export function unpackLz4(frame: Buffer, maxBytes: number): Buffer {
  if (frame.length < 7 || frame.readUInt32LE(0) !== MAGIC) throw broken('it does not begin like one');
  const flags = frame.readUInt8(4);
  if ((flags & HAS_DICTIONARY) !== 0) throw broken('it needs a dictionary');
  let at = 6 + ((flags & HAS_CONTENT_SIZE) === 0 ? 0 : 8) + 1;
  const out = new Output(Math.min(frame.length * 4, maxBytes), maxBytes);
  for (;;) {
    const word = frame.readUInt32LE(at);
    at += 4;
    if (word === 0) break;
    const size = word % STORED;
    if (at + size > frame.length) throw broken('a block is longer than what is there');
    if (word >= STORED) out.literals(frame, at, at + size);
    else unpackBlock(frame, at, at + size, out);
    at += size + ((flags & HAS_BLOCK_CHECKSUM) === 0 ? 0 : 4);
  }
  if ((flags & HAS_CONTENT_CHECKSUM) !== 0) at += 4;
  return at >= frame.length
    ? out.bytes
    : Buffer.concat([out.bytes, unpackLz4(frame.subarray(at), maxBytes - out.bytes.length)]);
}

/** Sequences of a token, literals, and a copy of what was unpacked before; the last one has literals only. */
function unpackBlock(from: Buffer, start: number, end: number, out: Output): void {
  let at = start;
  const length = (first: number): number => {
    let total = first;
    for (let more = first === 15 ? 255 : 0; more === 255; total += more) more = from.readUInt8(at++);
    return total;
  };
  while (at < end) {
    const token = from.readUInt8(at++);
    const literals = length(token >> 4);
    if (at + literals > end) throw broken('literals are longer than their block');
    out.literals(from, at, at + literals);
    at += literals;
    if (at >= end) return;
    const distance = from.readUInt16LE(at);
    at += 2;
    out.copy(distance, length(token & 15) + MIN_MATCH);
  }
}

/** What was unpacked so far, which later parts refer back to. */
class Output {
  #bytes: Buffer;
  #size = 0;

  readonly #maxBytes: number;

  constructor(capacity: number, maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#bytes = Buffer.allocUnsafe(capacity);
  }

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#size);
  }

  literals(from: Buffer, start: number, end: number): void {
    this.#room(end - start);
    this.#size += from.copy(this.#bytes, this.#size, start, end);
  }

  copy(distance: number, length: number): void {
    if (distance === 0 || distance > this.#size) throw broken('it refers to what is not there');
    this.#room(length);
    const bytes = this.#bytes;
    let at = this.#size;
    const from = at - distance;
    // A copy that overlaps itself repeats what it has just written.
    if (distance >= length) bytes.copyWithin(at, from, from + length);
    else for (let i = 0; i < length; i += 1) bytes[at++] = bytes[from + i] ?? 0;
    this.#size += length;
  }

  #room(length: number): void {
    const needed = this.#size + length;
    if (needed <= this.#bytes.length) return;
    if (needed > this.#maxBytes) throw broken(`it holds more than ${this.#maxBytes} bytes`);
    const larger = Buffer.allocUnsafe(Math.min(Math.max(needed, this.#bytes.length * 2), this.#maxBytes));
    this.#bytes.copy(larger, 0, 0, this.#size);
    this.#bytes = larger;
  }
}

function broken(text: string): SuiteError {
  return new SuiteError('DATA_INVALID', text);
}
