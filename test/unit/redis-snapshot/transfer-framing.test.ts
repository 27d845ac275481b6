import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TransferFraming } from '../../../modules/redis-snapshot/src/export/transfer-framing.ts';

const MARK = 'f'.repeat(20) + '0'.repeat(20);

/** The file and whether it was whole, of a stream cut at these places. */
function take(stream: Buffer, cuts: readonly number[]): { file: Buffer; framing: TransferFraming } {
  const framing = new TransferFraming();
  const pieces: Buffer[] = [];
  const places = [...cuts.map((cut) => cut % (stream.length + 1)), stream.length].sort((a, b) => a - b);
  let from = 0;
  for (const to of places) {
    pieces.push(...framing.push(stream.subarray(from, to)));
    from = to;
  }
  return { file: Buffer.concat(pieces), framing };
}

const cuts = fc.array(fc.nat(500), { maxLength: 20 });
// Bytes of which the mark is made come up often, so that beginnings of it do too.
const file = fc
  .array(fc.constantFrom(0x66, 0x30, 0x0a, 0xff), { maxLength: 200 })
  .map((bytes) => Buffer.from(bytes))
  .filter((bytes) => !bytes.includes(MARK));

test('SN-1 the file comes out whole however the stream is cut, with a mark behind it', () => {
  fc.assert(
    fc.property(file, cuts, (content, places) => {
      const stream = Buffer.concat([Buffer.from(`\n\n$EOF:${MARK}\r\n`), content, Buffer.from(MARK)]);
      const taken = take(stream, places);
      assert.ok(taken.framing.isDone);
      assert.deepEqual(taken.file, content);
    }),
  );
});

test('SN-1 the file comes out whole however the stream is cut, with its length in front', () => {
  fc.assert(
    fc.property(file, cuts, (content, places) => {
      const stream = Buffer.concat([
        Buffer.from(`+FULLRESYNC x 0\r\n\n$${content.length}\r\n`),
        content,
        Buffer.from('*1'),
      ]);
      const taken = take(stream, places);
      assert.ok(taken.framing.isDone);
      assert.deepEqual(taken.file, content);
    }),
  );
});

test('a stream that ends before the mark, or before its length, is not done', () => {
  const byMark = take(Buffer.from(`$EOF:${MARK}\r\nabc${MARK.slice(0, 39)}`), []);
  assert.equal(byMark.framing.isDone, false);
  const byLength = take(Buffer.from('$10\r\nabc'), []);
  assert.equal(byLength.framing.isDone, false);
});

test("the server's refusal is thrown as its reply, anything else as not being replication", () => {
  assert.throws(() => take(Buffer.from('-NOPERM no\r\n'), []), { name: 'ReplyError', message: 'NOPERM no' });
  assert.throws(() => take(Buffer.from('HTTP/1.1 400 Bad Request\r\n'), []), { code: 'REDIS_ERROR' });
  assert.throws(() => take(Buffer.alloc(5000, 'x'), []), { code: 'REDIS_ERROR' });
});
