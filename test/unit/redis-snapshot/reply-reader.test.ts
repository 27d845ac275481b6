import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ReplyReader } from '../../../modules/redis-snapshot/src/import/reply-reader.ts';

const REPLIES = [
  '+OK\r\n',
  '-BUSYKEY Target key name already exists.\r\n',
  ':7\r\n',
  '$-1\r\n',
  '$4\r\na\r\nb\r\n',
  '+PONG\r\n',
];

const VALUES = [undefined, undefined, '7', null, 'a\r\nb', 'PONG'];

/** Feeds the bytes piece by piece, as a connection does that keeps what was not taken. */
function read(count: number, pieces: readonly Buffer[]): { reader: ReplyReader; rest: Buffer } {
  const reader = new ReplyReader(count);
  let rest = Buffer.alloc(0);
  for (const piece of pieces) {
    const bytes = Buffer.concat([rest, piece]);
    rest = bytes.subarray(reader.take(bytes, 0));
  }
  return { reader, rest };
}

test('tells errors and values by the number of their command, and counts everything else, wherever the pieces are cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(REPLIES.length - 1), { minLength: 1, maxLength: 40 }),
      fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 10 }),
      (kinds, sizes) => {
        const bytes = Buffer.from(kinds.map((kind) => REPLIES[kind]).join(''));
        const pieces: Buffer[] = [];
        for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
          const size = sizes[turn % sizes.length] ?? 1;
          pieces.push(bytes.subarray(at, at + size));
          at += size;
        }
        const { reader, rest } = read(kinds.length, pieces);
        assert.equal(reader.isDone, true);
        assert.equal(rest.length, 0);
        const where = (...wanted: number[]) =>
          kinds.flatMap((kind, index) => (wanted.includes(kind) ? [index] : []));
        assert.deepEqual([...reader.errors.keys()], where(1));
        assert.deepEqual([...reader.values.keys()], where(2, 3, 4, 5));
        for (const [index, value] of reader.values) assert.equal(value, VALUES[kinds[index] ?? 0]);
      },
    ),
  );
});

test('leaves the replies to later commands where they are, and a half one too', () => {
  const { reader, rest } = read(2, [Buffer.from('+OK\r\n+OK\r\n+OK\r\n-ERR')]);
  assert.equal(reader.isDone, true);
  assert.equal(rest.toString(), '+OK\r\n-ERR');
  assert.equal(reader.errors.size, 0);
});

test('refuses what is no reply of Redis', () => {
  assert.throws(() => read(1, [Buffer.from('HTTP/1.1 400 Bad Request\r\n')]), /not Redis/);
});
