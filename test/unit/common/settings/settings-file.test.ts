import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError, parseConfigFile } from '@iotedge-redis/common';

test('lines NAME=VALUE are read, with comments, quotes, spaces and line ends of any system', () => {
  const file = [
    '\uFEFF# === Redis Settings ===',
    '',
    'REDIS_HOST=localhost',
    '  REDIS_PORT = 6379 ',
    "QUOTED=' a b '",
    'DOUBLE="x"',
    'export EXPORTED=1',
    'LOG_FORMAT=%(asctime)s - %(message)s',
    'PASSWORD=a=b#c',
    'EMPTY=',
  ].join('\r\n');
  assert.deepEqual(parseConfigFile(file, 'env.conf'), {
    REDIS_HOST: 'localhost',
    REDIS_PORT: '6379',
    QUOTED: ' a b ',
    DOUBLE: 'x',
    EXPORTED: '1',
    LOG_FORMAT: '%(asctime)s - %(message)s',
    PASSWORD: 'a=b#c',
    EMPTY: '',
  });
});

test('a text that starts with a brace is one JSON object', () => {
  assert.deepEqual(parseConfigFile(' \n{"port": 1, "REDIS_HOST": "x"}', 'settings.json'), {
    port: 1,
    REDIS_HOST: 'x',
  });
});

const wrong: [string, string, string][] = [
  [
    'a line without =',
    'A=1\nhunter2',
    'file env.conf line 2: expected NAME=VALUE or a comment that starts with #',
  ],
  ['a name set twice', 'A=1\nA=2', 'file env.conf line 2: A is set a second time'],
  [
    'broken JSON',
    '{\n "p": hunter2}',
    'file env.conf: expected a JSON object; unexpected text at line 2, column 7',
  ],
  ['JSON that ends early', '{"p": 1', 'file env.conf: expected a JSON object; it ends too early'],
];
for (const [what, content, message] of wrong) {
  test(`${what} is told with its place and without its content`, () => {
    assert.throws(
      () => parseConfigFile(content, 'env.conf'),
      (error: unknown) => {
        assert.ok(error instanceof ConfigError);
        assert.equal(error.message, message);
        return true;
      },
    );
  });
}
