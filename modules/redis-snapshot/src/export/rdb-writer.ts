import { Crc64, SuiteError } from '@iotedge-redis/common';
import { FIRST_OPCODE } from '../rdb/between-entries.ts';

const OPCODE = { aux: 0xfa, select: 0xfe, expireMs: 0xfc, end: 0xff } as const;
/** Behind the value in a DUMP payload: version of the format (2 bytes) and checksum (8 bytes), both little-endian. */
const FOOTER_BYTES = 10;
/** From this version on the format is Valkey's own, with another head. */
const FIRST_VALKEY_VERSION = 80;
/** What an empty file is written as: every server in use loads it. */
const OLDEST_VERSION = 9;

/**
 * Puts DUMP payloads together into an RDB file: head, entries, end with checksum. The payload of DUMP is the entry of the file
 * without its key, so nothing is decoded. Rule: rdb.c and cluster.c (`createDumpPayload`) of Redis.
 */
export class RdbWriter {
  readonly #crc = Crc64.redis();
  #version: number | undefined;
  #db: number | undefined;

  /** Pieces of one entry; `expireAtMs` in milliseconds since 1970. */
  entry(db: number, key: Buffer, dump: Buffer, expireAtMs: number | undefined): readonly Buffer[] {
    const { body, version } = split(dump);
    const type = body.subarray(0, 1);
    // They begin the payload, and in the file they stand in front of the key.
    if (body.readUInt8(0) >= FIRST_OPCODE) {
      throw new SuiteError(
        'DATA_INVALID',
        'scanning: a key has metadata of modules, which a file made key by key does not carry; permit SYNC',
      );
    }
    const expiry = Buffer.alloc(expireAtMs === undefined ? 0 : 9);
    if (expireAtMs !== undefined) {
      expiry[0] = OPCODE.expireMs;
      expiry.writeBigInt64LE(BigInt(expireAtMs), 1);
    }
    const select = this.#db === db ? [] : [Buffer.from([OPCODE.select]), length(db)];
    this.#db = db;
    const head = Buffer.concat([...this.#head(version), ...select, expiry, type, length(key.length), key]);
    return this.#counted([head, body.subarray(1)]);
  }

  /** Function libraries, as FUNCTION DUMP gives them: entries of the file already. They come before the keys. */
  functions(dump: Buffer): readonly Buffer[] {
    const { body, version } = split(dump);
    return this.#counted([...this.#head(version), body]);
  }

  end(): readonly Buffer[] {
    const last = this.#counted([...this.#head(OLDEST_VERSION), Buffer.from([OPCODE.end])]);
    return [...last, this.#crc.digest()];
  }

  #head(version: number): readonly Buffer[] {
    if (this.#version === version || (this.#version !== undefined && version === OLDEST_VERSION)) return [];
    if (this.#version !== undefined) {
      throw new SuiteError('CONFLICT', 'scanning: the server changed its version meanwhile', {
        retryable: true,
      });
    }
    this.#version = version;
    const isValkey = version >= FIRST_VALKEY_VERSION;
    return [
      Buffer.from(
        isValkey ? `VALKEY${String(version).padStart(3, '0')}` : `REDIS${String(version).padStart(4, '0')}`,
      ),
    ];
  }

  #counted(pieces: readonly Buffer[]): readonly Buffer[] {
    for (const piece of pieces) this.#crc.update(piece);
    return pieces;
  }
}

function split(dump: Buffer): { body: Buffer; version: number } {
  if (dump.length <= FOOTER_BYTES) throw new SuiteError('DATA_INVALID', 'scanning: a DUMP is too short');
  const end = dump.length - FOOTER_BYTES;
  return { body: dump.subarray(0, end), version: dump.readUInt16LE(end) };
}

/** A length as the file has it: 6 bits, 14 bits, 32 bits or 64 bits, big-endian. */
function length(value: number): Buffer {
  if (value < 1 << 6) return Buffer.from([value]);
  if (value < 1 << 14) return Buffer.from([0x40 | (value >> 8), value & 0xff]);
  if (value <= 0xffffffff) {
    const bytes = Buffer.alloc(5, 0x80);
    bytes.writeUInt32BE(value, 1);
    return bytes;
  }
  const bytes = Buffer.alloc(9, 0x81);
  bytes.writeBigUInt64BE(BigInt(value), 1);
  return bytes;
}
