import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { slotOf } from '../../../modules/redis-sync/src/rows/cluster-rows.ts';
import { packKeyBuffers, unpackKeys } from '../../../modules/redis-sync/src/rows/key-list.ts';

test('RS-29 a list gives back the keys that were packed, whatever bytes they are', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 50 }), (keys) => {
      const buffers = keys.map((key) => Buffer.from(key));
      assert.deepEqual(unpackKeys(packKeyBuffers(buffers)), buffers);
    }),
  );
});

test('RS-29 a thousand usual keys take at most 10 bytes each', () => {
  const keys = Array.from({ length: 1000 }, (_, index) => Buffer.from(`device:${index * 7919}:temperature`));
  assert.ok(packKeyBuffers(keys).length <= 10_000);
});

test('slots are those of the Redis Cluster specification', () => {
  for (const [key, slot] of [
    ['123456789', 12739],
    ['foo', 12182],
    ['{user1000}.following', 3443],
    ['{}x', slotOf(Buffer.from('{}x'))],
  ] as const) {
    assert.equal(slotOf(Buffer.from(key)), slot);
  }
  assert.equal(slotOf(Buffer.from('{user1000}.a')), slotOf(Buffer.from('user1000')));
  assert.notEqual(slotOf(Buffer.from('foo{}{bar}')), slotOf(Buffer.from('bar')));
});
