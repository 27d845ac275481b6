import { Crc64 } from '@iotedge-redis/common';
import type { RdbCursor } from './rdb-cursor.ts';
import { RdbFailure } from './rdb-failure.ts';

/** The checksum came with this version. */
const SINCE_VERSION = 5;
export const SUM_BYTES = 8;

/** The checksum of a file; there is none to hold against it for a reader that begins in the middle. */
export class RdbSum {
  /** True when the file had one and it was right. */
  isVerified = false;
  readonly #cursor: RdbCursor;
  readonly #crc: Crc64 | undefined;
  /** In the present piece, up to where it goes. */
  #pos = 0;

  constructor(cursor: RdbCursor, isFromHead: boolean) {
    this.#cursor = cursor;
    this.#crc = isFromHead ? Crc64.redis() : undefined;
  }

  /** Goes up to where the cursor stands; to be called before another piece takes the place of this one. */
  take(): void {
    const { bytes, pos } = this.#cursor;
    this.#crc?.update(bytes, this.#pos, pos);
    this.#pos = pos;
  }

  /** Another piece is there. */
  goOn(): void {
    this.#pos = this.#cursor.start;
  }

  /** Holds it against the one that the cursor stands on, and passes that; false when it is not all there yet. */
  check(version: number): boolean {
    if (version < SINCE_VERSION) return true;
    const cursor = this.#cursor;
    if (cursor.left < SUM_BYTES) return false;
    this.take();
    const stated = cursor.bytes.subarray(cursor.pos, cursor.pos + SUM_BYTES);
    // Zero says that the writer was told not to make one (rdbchecksum no).
    this.isVerified = this.#crc !== undefined && stated.some((byte) => byte !== 0);
    if (this.isVerified && this.#crc?.digest().equals(stated) !== true)
      throw new RdbFailure(cursor.offset, 'the checksum of the file is wrong; it was damaged or cut');
    cursor.pass(SUM_BYTES);
    this.#pos = cursor.pos;
    return true;
  }
}
