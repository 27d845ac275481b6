import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBlobEndpoint } from '@iotedge-redis/common/blob';

test('the address of a blob service is taken without a slash at its end', () => {
  assert.equal(parseBlobEndpoint(' http://azurite:10000/account/ '), 'http://azurite:10000/account');
});

for (const address of [
  'https://user@host',
  'https://:secret@host',
  'https://host/?sig=secret',
  'https://host/#secret',
  'ftp://host',
  'secret',
]) {
  test(`an address that may hold a secret, or is none, is refused without being repeated: ${address}`, () => {
    assert.throws(
      () => parseBlobEndpoint(address),
      (error: unknown) => error instanceof Error && !error.message.includes('secret'),
    );
  });
}
