import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { crc64 } from '../../../modules/common/src/crc64.ts';

test('RS-15 gives the published check value of this CRC for 123456789, little-endian as the service sends it', () => {
  assert.equal(crc64(Buffer.from('123456789')).readBigUInt64LE(), 0xae8b14860a799888n);
});

test('RS-15 agrees with the definition, bit by bit, for any bytes of any length', () => {
  const slow = (bytes: Uint8Array): bigint => {
    let crc = 0xffffffffffffffffn;
    for (const byte of bytes) {
      crc ^= BigInt(byte);
      for (let bit = 0; bit < 8; bit += 1)
        crc = (crc & 1n) === 1n ? (crc >> 1n) ^ 0x9a6c9329ac4bc9b5n : crc >> 1n;
    }
    return crc ^ 0xffffffffffffffffn;
  };
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => crc64(bytes).readBigUInt64LE() === slow(bytes)),
  );
});
