import { mkdir, open, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { SuiteError, errorText } from '@iotedge-redis/common';
import type { Log } from '@iotedge-redis/common';
import type { Patience } from '@iotedge-redis/common/blob';
import { MemoryInTurn } from '../memory-in-turn.ts';
import { roomOn } from '../storage/volume-room.ts';
import type { RdbInput } from './rdb-input.ts';

export interface KeptInput extends RdbInput {
  /** Gives the volume its room back. */
  close(): Promise<void>;
}

/** The room on the volume is looked at anew with every so many bytes. */
const LOOK_BYTES = 16 * 1024 * 1024;
const PIECE_BYTES = 1024 * 1024;

/**
 * Keeps what the first reading of a file brings, unpacked, in a file on the volume, and takes later readings from there: a snapshot comes over
 * the link once, although it is read to its end before the first key is touched. Without a path, or room, it is fetched again.
 */
export function keepInput(source: RdbInput, path: string | undefined, log: Log): KeptInput {
  let kept: FileHandle | undefined;
  let isBegun = false;
  async function* keeping(from: RdbInput, to: string): AsyncGenerator<Buffer> {
    isBegun = true;
    const draft = new Draft(to);
    let writing = Promise.resolve();
    try {
      for await (const piece of from.read(0)) {
        // While whoever asked for it is at work on it.
        writing = draft.write(piece);
        yield piece;
        await writing;
      }
      kept = draft.take();
    } finally {
      await writing;
      await draft.drop();
      if (draft.problem !== undefined)
        log.info('the snapshot is not kept on the volume: what is read again is fetched again', {
          reason: draft.problem,
        });
    }
  }
  const input = (from: RdbInput): RdbInput => ({
    name: source.name,
    version: source.version,
    isGzip: source.isGzip,
    read(offset) {
      if (kept !== undefined) return piecesOf(kept, offset, source.name);
      return offset === 0 && !isBegun && path !== undefined ? keeping(from, path) : from.read(offset);
    },
    by: (patience: Patience) => input(from.by(patience)),
  });
  return {
    ...input(source),
    async close() {
      await kept?.close();
      kept = undefined;
      isBegun = true;
    },
  };
}

/** A file without a name, which goes with the process; a failure ends it and is no failure of the reading. */
class Draft {
  /** Why there is none. */
  problem: string | undefined;
  readonly #path: string;
  #file: FileHandle | undefined;
  #written = 0;
  #lookAt = 0;

  constructor(path: string) {
    this.#path = path;
  }

  async write(piece: Buffer): Promise<void> {
    if (this.problem !== undefined) return;
    try {
      this.#file ??= await this.#create();
      if (this.#written >= this.#lookAt) await this.#look();
      const { bytesWritten } = await this.#file.write(piece, 0, piece.length, this.#written);
      if (bytesWritten < piece.length) throw new Error('the volume is full');
      this.#written += bytesWritten;
    } catch (error) {
      this.problem = errorText(error);
      await this.drop();
    }
  }

  /** The whole file, which is the caller's from now on. */
  take(): FileHandle | undefined {
    const file = this.#file;
    this.#file = undefined;
    return file;
  }

  async drop(): Promise<void> {
    await this.take()?.close();
  }

  async #create(): Promise<FileHandle> {
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    const file = await open(this.#path, 'w+', 0o600);
    await rm(this.#path, { force: true });
    return file;
  }

  async #look(): Promise<void> {
    if ((await roomOn(dirname(this.#path))) < LOOK_BYTES) throw new Error('the volume has no room');
    this.#lookAt = this.#written + LOOK_BYTES;
  }
}

/** The next piece is on its way while the caller is at work on this one. */
async function* piecesOf(file: FileHandle, offset: number, name: string): AsyncGenerator<Buffer> {
  const memory = new MemoryInTurn(PIECE_BYTES);
  const fetch = async (at: number): Promise<Buffer> => {
    try {
      const { buffer, bytesRead } = await file.read(memory.next(), 0, PIECE_BYTES, at);
      return buffer.subarray(0, bytesRead);
    } catch (cause) {
      throw new SuiteError('INTERNAL', `reading what was kept of ${name}: ${errorText(cause)}`, { cause });
    }
  };
  let next = fetch(offset);
  for (let at = offset; ;) {
    const piece = await next;
    if (piece.length === 0) return;
    at += piece.length;
    next = fetch(at);
    // Whoever awaits it hears of the failure; a reading that ends early has nobody who does.
    next.catch(() => undefined);
    yield piece;
  }
}
