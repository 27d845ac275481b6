import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError } from '@iotedge-redis/common';
import { parseCommandLine } from '../../../../modules/common/src/runner/command-line.ts';

const plain = { action: 'run', command: undefined, configFile: undefined, settings: {} };
const cases: [string, object][] = [
  ['', plain],
  [
    '--log-level=DEBUG --config-file=/x/env.conf',
    { ...plain, configFile: '/x/env.conf', settings: { logLevel: 'DEBUG' } },
  ],
  ['--log-level debug', { ...plain, settings: { logLevel: 'debug' } }],
  ['--config-file a=b', { ...plain, configFile: 'a=b' }],
  ['sync --log-level info', { ...plain, command: 'sync', settings: { logLevel: 'info' } }],
  ['--help', { ...plain, action: 'help' }],
  ['-h', { ...plain, action: 'help' }],
  ['--wrong --help', { ...plain, action: 'help' }],
  ['--version', { ...plain, action: 'version' }],
];
for (const [line, expected] of cases) {
  test(`"${line}" is understood`, () => {
    assert.deepEqual(parseCommandLine(line.split(' ').filter(Boolean), ['sync']), expected);
  });
}

const wrong: [string, RegExp][] = [
  ['--log-levle info', /--log-levle: unknown; did you mean --log-level\?/],
  ['--config-file', /--config-file: expected a value after it/],
  ['--log-level=', /--log-level: expected a value after it/],
  ['snyc', /snyc: unknown; did you mean sync\?/],
  ['sync more', /more: expected nothing after the command sync/],
];
for (const [line, expected] of wrong) {
  test(`"${line}" is refused with a hint`, () => {
    assert.throws(() => parseCommandLine(line.split(' '), ['sync']), expected);
  });
}

test('what stands behind a = is not repeated', () => {
  for (const line of ['REDIS_PASSWORD=hunter2', '--password=hunter2', 'sync REDIS_PASSWORD=hunter2'])
    assert.throws(
      () => parseCommandLine(line.split(' '), ['sync']),
      (error: unknown) => error instanceof ConfigError && !error.message.includes('hunter2'),
    );
});

test('a module without commands says so', () => {
  assert.throws(() => parseCommandLine(['sync'], []), /this module has no commands/);
});
