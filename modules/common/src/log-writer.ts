import { writeSync } from 'node:fs';

/** What the operating system offers; tests bring their own. */
export interface LogOutput {
  /** Number of bytes that were taken; throws as `fs.writeSync` does. */
  readonly write: (bytes: Buffer) => number;
  /** Stands still for some time, since whoever logs does not wait. */
  readonly pause: (ms: number) => void;
}

const PAUSE_MS = 10;
/** How long a reader of our output may be behind before a line is given up. */
const PATIENCE_MS = 500;

/**
 * Writes lines at once, so that a crash loses none. A reader that is gone, or does not read, costs lines and a moment, and
 * never ends or blocks the module for good.
 */
export function createLogWriter({ write, pause }: LogOutput): (line: string) => void {
  let isBehind = false;
  let isCutOff = false;
  return (line) => {
    // What follows a line that was cut off begins a line of its own.
    const bytes = Buffer.from(isCutOff ? `\n${line}` : line);
    let written = 0;
    let waited = 0;
    while (written < bytes.length) {
      try {
        written += write(bytes.subarray(written));
        isBehind = false;
      } catch (error) {
        const isFull = error instanceof Error && 'code' in error && error.code === 'EAGAIN';
        if (!isFull || isBehind || waited >= PATIENCE_MS) {
          isBehind = isFull;
          break;
        }
        pause(PAUSE_MS);
        waited += PAUSE_MS;
      }
    }
    isCutOff = written < bytes.length && (isCutOff || written > 0);
  };
}

export function createDescriptorWriter(descriptor: number): (line: string) => void {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  return createLogWriter({
    write: (bytes) => writeSync(descriptor, bytes),
    pause: (ms) => void Atomics.wait(cell, 0, 0, ms),
  });
}
