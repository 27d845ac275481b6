import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogWriter } from '../../../modules/common/src/log-writer.ts';

interface Pipe {
  readonly write: (line: string) => void;
  readonly text: () => string;
  /** Bytes that still fit; a reader makes room while we wait. */
  room: number;
  readPerMs: number;
  code: string;
  waitedMs: number;
}

function pipe(): Pipe {
  let text = '';
  const made: Omit<Pipe, 'write'> = {
    text: () => text,
    room: Infinity,
    readPerMs: 0,
    code: 'EAGAIN',
    waitedMs: 0,
  };
  const write = createLogWriter({
    write(bytes) {
      if (made.room <= 0) throw Object.assign(new Error(made.code), { code: made.code });
      const taken = Math.min(made.room, bytes.length);
      made.room -= taken;
      text += bytes.subarray(0, taken).toString();
      return taken;
    },
    pause(ms) {
      made.waitedMs += ms;
      made.room += ms * made.readPerMs;
    },
  });
  return Object.assign(made, { write });
}

test('a line is written at once', () => {
  const made = pipe();
  made.write('a\n');
  made.write('b\n');
  assert.equal(made.text(), 'a\nb\n');
});

test('a reader that is slow gets every line', () => {
  const made = pipe();
  Object.assign(made, { room: 3, readPerMs: 0.5 });
  made.write('0123456789\n');
  made.write('abc\n');
  assert.equal(made.text(), '0123456789\nabc\n');
});

test('a reader that does not read costs half a second once, and no line after it is glued to a piece', () => {
  const made = pipe();
  made.room = 4;
  made.write('0123456789\n');
  assert.equal(made.waitedMs, 500);
  for (let count = 0; count < 100; count += 1) made.write('lost\n');
  assert.equal(made.waitedMs, 500);
  made.room = Infinity;
  made.write('there again\n');
  made.write('next\n');
  assert.equal(made.text(), '0123\nthere again\nnext\n');
});

test('a reader that is gone costs nothing', () => {
  const made = pipe();
  Object.assign(made, { room: 0, code: 'EPIPE' });
  made.write('a\n');
  made.write('b\n');
  assert.deepEqual([made.text(), made.waitedMs], ['', 0]);
});
