import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Crc64, crc64 } from '../../../modules/common/src/crc64.ts';

const ones = 0xffffffffffffffffn;

function bitwise(bytes: Uint8Array, polynomial: bigint, mask: bigint): bigint {
  let crc = mask;
  for (const byte of bytes) {
    crc ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1n) === 1n ? (crc >> 1n) ^ polynomial : crc >> 1n;
  }
  return crc ^ mask;
}

test('RS-15 gives the published check value of this CRC for 123456789, little-endian as the service sends it', () => {
  assert.equal(crc64(Buffer.from('123456789')).readBigUInt64LE(), 0xae8b14860a799888n);
});

test('RS-15 agrees with the definition, bit by bit, for any bytes of any length', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 400 }),
      (bytes) => crc64(bytes).readBigUInt64LE() === bitwise(bytes, 0x9a6c9329ac4bc9b5n, ones),
    ),
  );
});

test("SN-10 gives the check value of Redis' CRC64 for 123456789", () => {
  const sum = Crc64.redis().update(Buffer.from('123456789')).digest();
  assert.equal(sum.readBigUInt64LE(), 0xe9c6d914c4b8d9can);
});

test("SN-10 agrees with the definition of Redis' CRC64, in however many pieces the bytes come", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 }), (pieces) => {
      const sum = Crc64.redis();
      for (const piece of pieces) sum.update(piece);
      return sum.digest().readBigUInt64LE() === bitwise(Buffer.concat(pieces), 0x95ac9329ac4bc9b5n, 0n);
    }),
  );
});

test('SN-10 sums a part of a buffer as that part by itself, and a reset sum as a new one', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.nat(400), fc.nat(400), (bytes, a, b) => {
      const start = Math.min(a, b, bytes.length);
      const end = Math.min(Math.max(a, b), bytes.length);
      const expected = Crc64.redis().update(bytes.slice(start, end)).digest();
      const sum = Crc64.redis().update(bytes).reset().update(bytes, start, end);
      return sum.digest().equals(expected);
    }),
  );
});
