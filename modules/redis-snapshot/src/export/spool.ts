import { mkdir, open, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { SuiteError, errorText } from '@iotedge-redis/common';
import type { SnapshotPart } from '../storage/manifest.ts';
import { roomOn } from '../storage/volume-room.ts';

/** What is known of a file once it is whole. */
export type SpooledFacts = Omit<SnapshotPart, 'blob'>;

const WRITE_BYTES = 1024 * 1024;

/** One file on the volume: written by one, read behind the writer by another. */
export class SpoolFile {
  readonly path: string;
  readonly #file: FileHandle;
  /** What is to be written next; made when something comes. */
  #memory: Buffer | undefined;
  #gathered = 0;
  #written: number;
  #facts: SpooledFacts | undefined;
  #isWritten: boolean;
  #failure: Error | undefined;
  #waiting: (() => void)[] = [];

  private constructor(path: string, file: FileHandle, written: number, facts: SpooledFacts | undefined) {
    this.path = path;
    this.#file = file;
    this.#written = written;
    this.#facts = facts;
    this.#isWritten = facts !== undefined;
  }

  /** A new file in place of whatever has its name; TOO_LARGE when the volume has no room for so many bytes. */
  static async create(path: string, neededBytes: number | undefined): Promise<SpoolFile> {
    const folder = join(path, '..');
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await remove(path);
    const free = await roomOn(folder);
    if (neededBytes !== undefined && neededBytes > free) {
      throw new SuiteError(
        'TOO_LARGE',
        `spooling the snapshot: it may take ${mebibytes(neededBytes)} MiB and the volume of STATE_DIR has ${mebibytes(free)} MiB to spare; make room, or set exportSpool to none`,
      );
    }
    return new SpoolFile(path, await open(path, 'w+', 0o600), 0, undefined);
  }

  /** A whole file of an earlier start; undefined when there is none. */
  static async reopen(path: string): Promise<SpoolFile | undefined> {
    try {
      const facts = JSON.parse(await readFile(factsPath(path), 'utf8')) as SpooledFacts;
      const { size } = await stat(path);
      if (size !== facts.bytes) return undefined;
      return new SpoolFile(path, await open(path, 'r'), size, facts);
    } catch {
      return undefined;
    }
  }

  /** Undefined while the file is not whole. */
  get facts(): SpooledFacts | undefined {
    return this.#facts;
  }

  /** The memory of the pieces is the caller's again once this resolves. */
  async write(pieces: readonly Buffer[]): Promise<void> {
    this.#memory ??= Buffer.allocUnsafeSlow(WRITE_BYTES);
    for (const piece of pieces) {
      for (let at = 0; at < piece.length;) {
        const copied = piece.copy(this.#memory, this.#gathered, at);
        at += copied;
        this.#gathered += copied;
        if (this.#gathered === WRITE_BYTES) await this.#flush();
      }
    }
  }

  /** Nothing more will come: the reader gets what is left. */
  async finish(): Promise<void> {
    await this.#flush();
    this.#isWritten = true;
    this.#tell();
  }

  /** Makes the finished file last: only after this is it found again by a later start. */
  async makeLasting(facts: SpooledFacts): Promise<void> {
    await this.#file.sync();
    const draft = `${factsPath(this.path)}.new`;
    await writeFile(draft, JSON.stringify(facts), { mode: 0o600, flush: true });
    await rename(draft, factsPath(this.path));
    this.#facts = facts;
  }

  /** The rest will not come: whoever reads behind the writer is told why. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.#tell();
  }

  /**
   * Up to so many bytes from there, as soon as they are all written or nothing follows, in memory of the caller's; undefined at the
   * file's end.
   */
  async read(offset: number, bytes: number, memory: (bytes: number) => Buffer): Promise<Buffer | undefined> {
    while (this.#written < offset + bytes && !this.#isWritten) {
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    const length = Math.min(bytes, this.#written - offset);
    if (length <= 0) return undefined;
    const buffer = memory(length);
    for (let have = 0; have < length;) {
      const { bytesRead } = await this.#file.read(buffer, have, length - have, offset + have);
      if (bytesRead === 0)
        throw new SuiteError('INTERNAL', `reading the spool file ${this.path}: it became shorter`);
      have += bytesRead;
    }
    return buffer;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #flush(): Promise<void> {
    const bytes = this.#gathered;
    this.#gathered = 0;
    if (this.#memory === undefined || bytes === 0) return;
    try {
      const { bytesWritten } = await this.#file.write(this.#memory, 0, bytes);
      // A full volume may take a part only, without an error.
      if (bytesWritten < bytes) throw new Error('the volume is full');
      this.#written += bytesWritten;
    } catch (cause) {
      throw new SuiteError(
        'TOO_LARGE',
        `spooling the snapshot to STATE_DIR: ${errorText(cause)}; make room, or set exportSpool to none`,
        { cause },
      );
    }
    this.#tell();
  }

  #tell(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

function factsPath(path: string): string {
  return `${path}.json`;
}

async function remove(path: string): Promise<void> {
  await rm(factsPath(path), { force: true });
  await rm(path, { force: true });
}

/** The instance's own folder on the volume. */
export function spoolFolder(stateDir: string, instance: string): string {
  return join(stateDir, `spool-${instance.replace(/[^\w.-]/g, '_')}`);
}

/** Removes the files of all runs but one. */
export async function sweepSpool(folder: string, keepRunId: string | undefined): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names)
    if (keepRunId === undefined || !name.startsWith(keepRunId)) await rm(join(folder, name), { force: true });
}

function mebibytes(bytes: number): number {
  return Math.ceil(bytes / 1024 / 1024);
}
