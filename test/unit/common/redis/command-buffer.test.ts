import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CommandBuffer } from '../../../../modules/common/src/redis/command-buffer.ts';

/** As many bytes behind the last one as `pair` may look at. */
const SLACK = 3;

function bulk(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')]);
}

test('a pair is written as two bulk strings, wherever it lies and however long it is', () => {
  const bytes = (maxLength: number) =>
    fc.uint8Array({ maxLength, size: 'max' }).map((array) => Buffer.from(array));
  const some = fc.oneof(bytes(12), bytes(130), bytes(400));
  fc.assert(
    fc.property(fc.array(fc.tuple(bytes(5), some, some), { maxLength: 8 }), (rows) => {
      // A small one, that has to grow in between.
      const out = new CommandBuffer(0);
      const expected: Buffer[] = [];
      for (const [before, key, value] of rows) {
        const source = Buffer.concat([before, key, Buffer.from(':'), value, Buffer.alloc(SLACK, 0xff)]);
        const view = new DataView(source.buffer, source.byteOffset, source.length);
        const start = before.length;
        const middle = start + key.length;
        out.pair(view, start, middle, middle + 1 + value.length);
        expected.push(bulk(key), bulk(value));
      }
      assert.deepEqual(out.bytes, Buffer.concat(expected));
    }),
  );
});

test('the length of each string of a pair is right up to a thousand bytes', () => {
  for (let size = 0; size <= 1000; size += 1) {
    const value = Buffer.alloc(size, 'v');
    const source = Buffer.concat([Buffer.from('k:'), value, Buffer.alloc(SLACK)]);
    const out = new CommandBuffer(0);
    out.pair(new DataView(source.buffer, source.byteOffset, source.length), 0, 1, 2 + size);
    assert.deepEqual(out.bytes, Buffer.concat([bulk(Buffer.from('k')), bulk(value)]));
  }
});

test('a buffer that was emptied begins anew, also after it gave up very large memory', () => {
  const out = new CommandBuffer(0);
  out.command('SET', 'k', Buffer.alloc(3 * 1024 * 1024));
  out.clear();
  const source = Buffer.from('k:v   ');
  out.pair(new DataView(source.buffer, source.byteOffset, source.length), 0, 1, 3);
  assert.deepEqual([out.bytes.toString(), out.count], ['$1\r\nk\r\n$1\r\nv\r\n', 0]);
});
