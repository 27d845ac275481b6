import { equal } from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c } from '../../../modules/kafka-ingest/src/kafka/crc32c.ts';

test('CRC-32C agrees with the check values of the standard, at every length and place', () => {
  equal(crc32c(Buffer.from('123456789'), 0), 0xe3069283);
  equal(crc32c(Buffer.alloc(32), 0), 0x8a9136aa);
  equal(crc32c(Buffer.alloc(32, 0xff), 0), 0x62a8ab43);
  equal(crc32c(Buffer.from('xx123456789'), 2), 0xe3069283);
  equal(crc32c(Buffer.alloc(0), 0), 0);
});
