import { CommandBuffer, Crc64 } from '@iotedge-redis/common';
import type { RdbParser } from '../rdb/rdb-parser.ts';

/** Commands of so many bytes, or so many keys, go out together. */
const CHUNK_BYTES = 256 * 1024;
const CHUNK_KEYS = 1000;
const FOOTER = 10;
const FUNCTION_OPCODE = 245;

/** An entry among the commands of a chunk. */
export interface ChunkEntry {
  readonly offset: number;
  readonly type: number;
  /** Its command in the chunk's bytes, and the key in there. */
  readonly start: number;
  readonly keyEnd: number;
  readonly keyLength: number;
  readonly end: number;
}

export interface RestoreOptions {
  /** Stands in the footer of every payload: the target refuses versions above its own. */
  readonly targetVersion: number;
  readonly isReplacing: boolean;
}

/** RESTORE commands of entries that follow each other in one database of the file. */
export class RestoreChunk {
  readonly commands: CommandBuffer;
  readonly entries: ChunkEntry[] = [];
  /** Database in the file, and where the first entry begins. */
  readonly db: number;
  readonly offset: number;
  /** Behind the last entry. */
  until: number;
  readonly #options: RestoreOptions;
  readonly #crc = Crc64.redis();
  readonly #footer = Buffer.alloc(FOOTER);

  constructor(parser: RdbParser, options: RestoreOptions, spare?: Buffer) {
    this.#options = options;
    this.db = parser.db;
    this.offset = parser.itemOffset;
    this.until = parser.itemOffset;
    this.#footer.writeUInt16LE(options.targetVersion);
    const first = parser.valueBytes + parser.key.length + 256;
    this.commands = new CommandBuffer(Math.max(CHUNK_BYTES + 64 * 1024, first), spare);
  }

  get isFull(): boolean {
    return this.commands.length >= CHUNK_BYTES || this.entries.length >= CHUNK_KEYS;
  }

  /** Whether the entry that the parser stands behind may go along: a large one would copy all before it. */
  hasRoomFor(parser: RdbParser): boolean {
    return (
      this.entries.length === 0 ||
      (parser.db === this.db && this.commands.length + parser.valueBytes <= 2 * CHUNK_BYTES)
    );
  }

  add(parser: RdbParser): void {
    const { commands } = this;
    const { key, expireAtMs, idleSeconds, frequency } = parser;
    const { isReplacing } = this.#options;
    const start = commands.length;
    const hasAge = frequency !== undefined || idleSeconds !== undefined;
    commands.begin(5 + (isReplacing ? 1 : 0) + (hasAge ? 2 : 0));
    commands.buffer(RESTORE);
    commands.buffer(key);
    const keyEnd = commands.length - 2;
    if (expireAtMs === undefined) commands.buffer(NEVER);
    else commands.number(expireAtMs);
    this.#payload(parser);
    commands.buffer(ABSTTL);
    if (isReplacing) commands.buffer(REPLACE);
    if (frequency !== undefined) {
      commands.text('FREQ');
      commands.number(frequency);
    } else if (idleSeconds !== undefined) {
      commands.text('IDLETIME');
      commands.number(idleSeconds);
    }
    const { itemOffset: offset, type } = parser;
    this.entries.push({ offset, type, start, keyEnd, keyLength: key.length, end: commands.length });
    this.until = parser.offset;
  }

  keyOf({ keyEnd, keyLength }: ChunkEntry): Buffer {
    return this.commands.backing.subarray(keyEnd - keyLength, keyEnd);
  }

  /** The commands of some entries only. */
  again(entries: readonly ChunkEntry[]): CommandBuffer {
    const size = entries.reduce((sum, { start, end }) => sum + end - start, 0);
    const out = new CommandBuffer(size);
    for (const { start, end } of entries) out.append(this.commands.backing, start, end);
    out.count = entries.length;
    return out;
  }

  /** The same one by one, with their keys. */
  apart(entries: readonly ChunkEntry[]): { key: Buffer; bytes: Buffer }[] {
    const { bytes } = this.commands;
    return entries.map((entry) => ({
      key: this.keyOf(entry),
      bytes: bytes.subarray(entry.start, entry.end),
    }));
  }

  #payload(parser: RdbParser): void {
    const { commands } = this;
    const footer = this.#footer;
    commands.open(1 + parser.valueBytes + FOOTER);
    const from = commands.length;
    commands.byte(parser.type);
    parser.copyValue(commands);
    commands.append(footer, 0, 2);
    this.#crc.reset().update(commands.backing, from, commands.length).writeTo(footer, 2);
    commands.append(footer, 2);
    commands.close();
  }
}

const RESTORE = Buffer.from('RESTORE');
const ABSTTL = Buffer.from('ABSTTL');
const REPLACE = Buffer.from('REPLACE');
const NEVER = Buffer.from('0');

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
