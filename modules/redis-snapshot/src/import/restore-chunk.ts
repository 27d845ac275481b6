import { CommandBuffer, Crc64 } from '@iotedge-redis/common';
import type { RdbParser } from '../rdb/rdb-parser.ts';

/** Commands of so many bytes, or so many keys, go out together. */
const CHUNK_BYTES = 256 * 1024;
const CHUNK_KEYS = 2500;
/** What fills a chunk may lie behind what it holds already. */
const CAPACITY = CHUNK_BYTES + 64 * 1024;
/** The version, and the checksum of eight bytes. */
const VERSION_BYTES = 2;
const FOOTER = VERSION_BYTES + 8;
const FUNCTION_OPCODE = 245;

export interface RestoreOptions {
  /** Stands in the footer of every payload: the target refuses versions above its own. */
  readonly targetVersion: number;
  readonly isReplacing: boolean;
}

/**
 * RESTORE commands of entries that follow each other in one database of the file. An entry is a number from 0 on, and what is known of it
 * stands in columns: an object each would keep the garbage collector busier than all the rest.
 */
export class RestoreChunk {
  readonly commands = new CommandBuffer(CAPACITY);
  /** Database in the file, and where the first entry begins. */
  db = 0;
  offset = 0;
  /** Behind the last entry. */
  until = 0;
  readonly #isReplacing: boolean;
  readonly #crc = Crc64.redis();
  readonly #footer = Buffer.alloc(FOOTER);
  #size = 0;
  readonly #offsets = new Float64Array(CHUNK_KEYS);
  readonly #types = new Uint8Array(CHUNK_KEYS);
  /** Of an entry, where its command, and its key in there, end. The first command begins at 0. */
  readonly #ends = new Float64Array(CHUNK_KEYS);
  readonly #keyEnds = new Float64Array(CHUNK_KEYS);
  readonly #keyLengths = new Uint32Array(CHUNK_KEYS);

  constructor({ targetVersion, isReplacing }: RestoreOptions) {
    this.#isReplacing = isReplacing;
    this.#footer.writeUInt16LE(targetVersion);
  }

  /** Empties it, for entries from the one on that the parser stands behind. Fresh memory for each chunk would cost page faults. */
  begin(parser: RdbParser): void {
    this.db = parser.db;
    this.offset = parser.itemOffset;
    this.until = parser.itemOffset;
    this.#size = 0;
    this.commands.clear();
    this.commands.reserve(Math.max(CAPACITY, parser.valueBytes + parser.keyLength + 256));
  }

  /** Number of entries. */
  get size(): number {
    return this.#size;
  }

  /** Whether the entry that the parser stands behind may go along: a large one would copy all before it. */
  takes(parser: RdbParser): boolean {
    const { length } = this.commands;
    if (length >= CHUNK_BYTES || this.#size >= CHUNK_KEYS) return false;
    return this.#size === 0 || (parser.db === this.db && length + parser.valueBytes <= 2 * CHUNK_BYTES);
  }

  add(parser: RdbParser): void {
    const { commands } = this;
    const { expireAtMs, idleSeconds, frequency, keyLength } = parser;
    const hasAge = frequency !== undefined || idleSeconds !== undefined;
    const expires = expireAtMs !== undefined;
    commands.begin(4 + (expires ? 1 : 0) + (this.#isReplacing ? 1 : 0) + (hasAge ? 2 : 0));
    commands.append(RESTORE);
    commands.open(keyLength);
    parser.copyKey(commands);
    commands.close();
    const keyEnd = commands.length - 2;
    if (expires) commands.number(expireAtMs);
    else commands.append(NEVER);
    this.#payload(parser);
    if (expires) commands.append(ABSTTL);
    if (this.#isReplacing) commands.append(REPLACE);
    if (frequency !== undefined) {
      commands.text('FREQ');
      commands.number(frequency);
    } else if (idleSeconds !== undefined) {
      commands.text('IDLETIME');
      commands.number(idleSeconds);
    }
    const entry = this.#size;
    this.#offsets[entry] = parser.itemOffset;
    this.#types[entry] = parser.type;
    this.#keyEnds[entry] = keyEnd;
    this.#keyLengths[entry] = keyLength;
    this.#ends[entry] = commands.length;
    this.#size = entry + 1;
    this.until = parser.offset;
  }

  /** Where the entry begins in the file. */
  offsetOf(entry: number): number {
    return this.#offsets[entry] ?? this.offset;
  }

  typeOf(entry: number): number {
    return this.#types[entry] ?? 0;
  }

  keyOf(entry: number): Buffer {
    const keyEnd = this.#keyEnds[entry] ?? 0;
    return this.commands.backing.subarray(keyEnd - (this.#keyLengths[entry] ?? 0), keyEnd);
  }

  /** The commands of some entries only. */
  again(entries: readonly number[]): CommandBuffer {
    const parts = entries.map((entry) => this.#commandOf(entry));
    const out = new CommandBuffer(parts.reduce((sum, { length }) => sum + length, 0));
    for (const part of parts) out.append(part);
    out.count = entries.length;
    return out;
  }

  /** The same one by one, with their keys; of all entries without any. */
  apart(entries?: readonly number[]): { key: Buffer; bytes: Buffer }[] {
    const wanted = entries ?? Array.from({ length: this.#size }, (_, entry) => entry);
    return wanted.map((entry) => ({ key: this.keyOf(entry), bytes: this.#commandOf(entry) }));
  }

  #commandOf(entry: number): Buffer {
    const start = entry === 0 ? 0 : this.#ends[entry - 1];
    return this.commands.backing.subarray(start, this.#ends[entry]);
  }

  #payload(parser: RdbParser): void {
    const { commands } = this;
    const footer = this.#footer;
    commands.open(1 + parser.valueBytes + FOOTER);
    const from = commands.length;
    commands.byte(parser.type);
    parser.copyValue(commands);
    this.#crc
      .reset()
      .update(commands.backing, from, commands.length)
      .update(footer, 0, VERSION_BYTES)
      .writeTo(footer, VERSION_BYTES);
    commands.append(footer);
    commands.close();
  }
}

// Whole arguments, as they go over the wire.
const RESTORE = Buffer.from('$7\r\nRESTORE\r\n');
const ABSTTL = Buffer.from('$6\r\nABSTTL\r\n');
const REPLACE = Buffer.from('$7\r\nREPLACE\r\n');
const NEVER = Buffer.from('$1\r\n0\r\n');

/** What FUNCTION RESTORE takes for one library of the file. */
export function functionPayload(pieces: readonly Buffer[], targetVersion: number): Buffer {
  const footer = Buffer.alloc(FOOTER);
  footer.writeUInt16LE(targetVersion);
  const payload = Buffer.concat([Buffer.of(FUNCTION_OPCODE), ...pieces, footer]);
  Crc64.redis()
    .update(payload, 0, payload.length - 8)
    .writeTo(payload, payload.length - 8);
  return payload;
}
