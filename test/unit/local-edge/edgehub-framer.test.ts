import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { FrameError, Framer } from '../../../local-edge/src/edgehub/framer.ts';

test('packets come out whole however the bytes are cut', () => {
  const packet = fc.uint8Array({ maxLength: 300 }).map((body) => {
    const length =
      body.length < 128 ? [body.length] : [(body.length % 128) | 0x80, Math.floor(body.length / 128)];
    return Buffer.from([0x30, ...length, ...body]);
  });
  fc.assert(
    fc.property(fc.array(packet, { maxLength: 5 }), fc.array(fc.nat(50)), (packets, cuts) => {
      const framer = new Framer(1000);
      const bytes = Buffer.concat(packets);
      const out: Buffer[] = [];
      let at = 0;
      for (const cut of cuts) {
        out.push(...framer.push(bytes.subarray(at, at + cut)));
        at += cut;
      }
      out.push(...framer.push(bytes.subarray(at)));
      assert.deepEqual(out.map(String), packets.map(String));
    }),
  );
});

test('a packet over the limit is refused by its header, a length of five bytes too', () => {
  assert.throws(() => [...new Framer(1000).push(Buffer.from([0x30, 0xe9, 0x07]))], FrameError);
  assert.deepEqual([...new Framer(1000).push(Buffer.from([0x30, 0xe8, 0x07]))], []);
  assert.throws(
    () => [...new Framer(2 ** 40).push(Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0x7f]))],
    FrameError,
  );
});
