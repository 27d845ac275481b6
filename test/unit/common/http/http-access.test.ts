import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge } from '../../../../modules/common/src/http/http-access.ts';

const cases: [string | undefined, string | undefined, 'allowed' | 'not local'][] = [
  ['127.0.0.1', 'localhost:9600', 'allowed'],
  ['127.8.9.10', '127.0.0.1', 'allowed'],
  ['::1', '[::1]:9600', 'allowed'],
  ['::ffff:127.0.0.1', 'localhost', 'allowed'],
  ['172.17.0.1', 'localhost', 'not local'],
  ['::ffff:10.0.0.1', 'localhost', 'not local'],
  ['fe80::1', 'localhost', 'not local'],
  ['::11', 'localhost', 'not local'],
  [undefined, 'localhost', 'not local'],
  ['127.0.0.1', 'evil.example', 'not local'],
  ['127.0.0.1', '127.0.0.1.evil.example', 'not local'],
  ['127.0.0.1', undefined, 'not local'],
];
for (const [address, host, expected] of cases) {
  test(`without a token, ${address ?? 'nobody'} at ${host ?? 'no name'} is ${expected}`, () => {
    assert.equal(judge({ address, headers: host === undefined ? {} : { host } }, undefined), expected);
  });
}

test('without a token, a web page is not local, from wherever it came', () => {
  for (const origin of ['http://evil.example', 'http://localhost:9600', 'null'])
    assert.equal(
      judge({ address: '127.0.0.1', headers: { host: 'localhost', origin } }, undefined),
      'not local',
    );
});

test('with a token, the address does not matter and the token does', () => {
  const stranger = (authorization?: string): string =>
    judge({ address: '8.8.8.8', headers: authorization === undefined ? {} : { authorization } }, 's3cret');
  assert.equal(stranger('Bearer s3cret'), 'allowed');
  for (const wrong of [undefined, '', 'Bearer ', 'Bearer s3cre', 'Bearer s3cret2', 'Basic s3cret'])
    assert.equal(stranger(wrong), 'without token', wrong);
  assert.equal(judge({ address: '127.0.0.1', headers: { host: 'localhost' } }, 's3cret'), 'without token');
});
