import { SuiteError } from '@iotedge-redis/common';

/** How the server marks the end of the file: by its length in front, or (diskless) by a mark of 40 bytes behind it. */
export type Framing =
  { readonly kind: 'length'; readonly bytes: number } | { readonly kind: 'mark'; readonly mark: Buffer };

const MARK_BYTES = 40;
const MAX_LINE_BYTES = 4096;
const LF = 0x0a;

/**
 * Takes the RDB file out of what a server sends after SYNC: line breaks while it prepares, then `$LENGTH` or `$EOF:MARK`, then
 * the file. Rule: replication.c of Redis, `readSyncBulkPayload`.
 */
export class TransferFraming {
  #framing: Framing | undefined;
  #line: Buffer = Buffer.alloc(0);
  /** Of a file with a mark: its last bytes so far, which may be the beginning of the mark. */
  #held: Buffer = Buffer.alloc(0);
  #left = 0;
  #isDone = false;

  get framing(): Framing | undefined {
    return this.#framing;
  }

  /** True when the whole file went through. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** The pieces of the file in this chunk. Throws the server's refusal as an Error whose name is `ReplyError`. */
  push(chunk: Buffer): readonly Buffer[] {
    const rest = this.#framing === undefined ? this.#head(chunk) : chunk;
    if (this.#framing === undefined || rest.length === 0 || this.#isDone) return [];
    return this.#framing.kind === 'length' ? this.#byLength(rest) : this.#byMark(rest, this.#framing.mark);
  }

  #head(chunk: Buffer): Buffer {
    let rest = chunk;
    while (this.#framing === undefined && rest.length > 0) {
      const end = rest.indexOf(LF);
      if (end < 0 || this.#line.length + end > MAX_LINE_BYTES) {
        this.#line = Buffer.concat([this.#line, rest]);
        if (this.#line.length > MAX_LINE_BYTES) throw unexpected();
        return Buffer.alloc(0);
      }
      const line = Buffer.concat([this.#line, rest.subarray(0, end)])
        .toString('latin1')
        .trimEnd();
      this.#line = Buffer.alloc(0);
      rest = rest.subarray(end + 1);
      this.#read(line);
    }
    return rest;
  }

  #read(line: string): void {
    if (line === '' || line.startsWith('+')) return;
    if (line.startsWith('-')) {
      const error = new Error(line.slice(1));
      error.name = 'ReplyError';
      throw error;
    }
    const mark = /^\$EOF:(.+)$/.exec(line)?.[1];
    if (mark?.length === MARK_BYTES) {
      this.#framing = { kind: 'mark', mark: Buffer.from(mark, 'latin1') };
      return;
    }
    const length = /^\$(\d{1,15})$/.exec(line)?.[1];
    if (length === undefined) throw unexpected();
    this.#left = Number(length);
    this.#framing = { kind: 'length', bytes: this.#left };
    this.#isDone = this.#left === 0;
  }

  #byLength(chunk: Buffer): readonly Buffer[] {
    const piece = chunk.subarray(0, this.#left);
    this.#left -= piece.length;
    this.#isDone = this.#left === 0;
    return [piece];
  }

  #byMark(chunk: Buffer, mark: Buffer): readonly Buffer[] {
    // The mark may begin in the bytes held back and end in this chunk; in the chunk alone no copy is needed.
    const seam = Buffer.concat([this.#held, chunk.subarray(0, MARK_BYTES - 1)]);
    const atSeam = seam.indexOf(mark);
    if (atSeam >= 0) {
      this.#isDone = true;
      return [seam.subarray(0, atSeam)];
    }
    const at = chunk.indexOf(mark);
    if (at >= 0) {
      this.#isDone = true;
      return [this.#held, chunk.subarray(0, at)].filter((piece) => piece.length > 0);
    }
    if (chunk.length < MARK_BYTES) {
      const known = Buffer.concat([this.#held, chunk]);
      const safe = Math.max(0, known.length - (MARK_BYTES - 1));
      this.#held = known.subarray(safe);
      return safe === 0 ? [] : [known.subarray(0, safe)];
    }
    const safe = chunk.length - (MARK_BYTES - 1);
    const pieces = [this.#held, chunk.subarray(0, safe)].filter((piece) => piece.length > 0);
    this.#held = Buffer.from(chunk.subarray(safe));
    return pieces;
  }
}

function unexpected(): SuiteError {
  return new SuiteError('REDIS_ERROR', 'the answer to SYNC is not of the form that replication has');
}
