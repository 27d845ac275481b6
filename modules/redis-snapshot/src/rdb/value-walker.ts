import { DECIMAL, LENGTH, MODULE, STRING } from './layouts.ts';
import type { Step } from './layouts.ts';
import { MORE } from './rdb-cursor.ts';
import type { RdbCursor } from './rdb-cursor.ts';
import { RdbFailure } from './rdb-failure.ts';

/** What follows each opcode of a module's value: two kinds of integer, float, double, string. */
const MODULE_PARTS: readonly (readonly Step[])[] = [[], [LENGTH], [LENGTH], [4], [8], [STRING]];

interface Frame {
  steps: readonly Step[];
  index: number;
  /** How often the steps are still to be gone through, this time included. */
  rounds: number;
}

/**
 * Finds the end of a value by its layout, over however many pieces it comes in. Its state is a few numbers, whatever the size
 * of the value; every round takes at least one byte, so that no count can make it go on for ever.
 */
export class ValueWalker {
  readonly #frames: Frame[] = [];
  #depth = 0;

  begin(steps: readonly Step[]): void {
    this.#depth = 0;
    if (steps.length > 0) this.#push(steps, 1);
  }

  /** True when the value ends where the cursor is; false when more bytes are needed. */
  walk(cursor: RdbCursor): boolean {
    while (this.#depth > 0) {
      if (cursor.owed > 0) return false;
      const frame = this.#frames[this.#depth - 1];
      if (frame === undefined) break;
      const step = frame.steps[frame.index];
      if (step === undefined) {
        frame.index = 0;
        frame.rounds -= 1;
        if (frame.rounds === 0) this.#depth -= 1;
      } else if (!this.#step(cursor, frame, step)) return false;
    }
    return cursor.owed === 0;
  }

  #step(cursor: RdbCursor, frame: Frame, step: Step): boolean {
    if (typeof step === 'object') {
      const count = cursor.count();
      if (count === MORE) return false;
      frame.index += 1;
      if (count > 0) this.#push(step, count);
      return true;
    }
    if (step === MODULE) return this.#modulePart(cursor, frame);
    if (step === STRING) {
      if (!cursor.passString()) return false;
    } else if (step === LENGTH) {
      if (cursor.length() === MORE) return false;
    } else if (step === DECIMAL) {
      const size = cursor.byte();
      if (size === MORE) return false;
      if (size < 253) cursor.pass(size);
    } else cursor.pass(step);
    frame.index += 1;
    return true;
  }

  #modulePart(cursor: RdbCursor, frame: Frame): boolean {
    const { offset } = cursor;
    const opcode = cursor.length();
    if (opcode === MORE) return false;
    const part = MODULE_PARTS[opcode];
    if (part === undefined)
      throw new RdbFailure(offset, `a module's value has the opcode ${opcode}, which means nothing`);
    if (opcode === 0) frame.index += 1;
    else this.#push(part, 1);
    return true;
  }

  #push(steps: readonly Step[], rounds: number): void {
    const frame = this.#frames[this.#depth];
    if (frame === undefined) this.#frames.push({ steps, index: 0, rounds });
    else {
      frame.steps = steps;
      frame.index = 0;
      frame.rounds = rounds;
    }
    this.#depth += 1;
  }
}
