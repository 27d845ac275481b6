import { viewOf } from '@iotedge-redis/common';

const QUOTE = 0x22;
const SPARE_BYTES = 64 * 1024;
/** Records are copied four bytes at a time: so many may be looked at behind the last one. */
export const SLACK_BYTES = 3;

/** Where the fields of one record end, in order. */
export class FieldEnds {
  count = 0;
  #ends = new Int32Array(64);

  at(index: number): number {
    return this.#ends[index] ?? 0;
  }

  add(end: number): void {
    if (this.count === this.#ends.length) {
      const wider = new Int32Array(this.count * 2);
      wider.set(this.#ends);
      this.#ends = wider;
    }
    this.#ends[this.count] = end;
    this.count += 1;
  }

  clear(): void {
    this.count = 0;
  }

  /** The bytes that they belong to moved so far towards the beginning. */
  shift(bytes: number): void {
    for (let index = 0; index < this.count; index += 1) this.#ends[index] = this.at(index) - bytes;
  }
}

/** The fields of one record: the first from `start` on, each up to its end, with one byte between two of them. */
export interface RecordFields {
  readonly block: Buffer;
  /** The same memory, and SLACK_BYTES behind it. */
  readonly view: DataView;
  readonly start: number;
  readonly ends: FieldEnds;
}

/** Each field as a stretch of the block. */
export function fieldsOf({ block, start, ends }: RecordFields): Buffer[] {
  const fields: Buffer[] = [];
  let from = start;
  for (let index = 0; index < ends.count; index += 1) {
    const end = ends.at(index);
    fields.push(block.subarray(from, end));
    from = end + 1;
  }
  return fields;
}

/**
 * The fields of a quoted record, with the quotes taken off: from then on it is a record like any other. It has to be well
 * formed, which the scanner sees to. Holds one record at a time.
 */
export class UnquotedFields implements RecordFields {
  block: Buffer = Buffer.alloc(0);
  view: DataView = viewOf(this.block);
  readonly start = 0;
  readonly ends = new FieldEnds();

  /** Takes the record at `start` up to `end` of the bytes over. */
  take(bytes: Buffer, start: number, end: number, delimiter: number): this {
    const size = end - start;
    // One very long record must not hold its memory for ever.
    if (this.block.length < size + SLACK_BYTES || this.block.length > size * 4 + SPARE_BYTES) {
      this.block = Buffer.allocUnsafeSlow(Math.max(size + SLACK_BYTES, SPARE_BYTES));
      this.view = viewOf(this.block);
    }
    const out = this.block;
    this.ends.clear();
    let to = 0;
    let at = start;
    for (;;) {
      if (at < end && bytes[at] === QUOTE) {
        for (at += 1; at < end; at += 1) {
          // A quote that is doubled is one of the text, any other one ends the field.
          if (bytes[at] === QUOTE && bytes[++at] !== QUOTE) break;
          out[to++] = bytes[at] ?? 0;
        }
      } else {
        for (; at < end && bytes[at] !== delimiter; at += 1) out[to++] = bytes[at] ?? 0;
      }
      this.ends.add(to);
      if (at >= end) return this;
      out[to++] = delimiter;
      at += 1;
    }
  }
}
