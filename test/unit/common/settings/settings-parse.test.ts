import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Sources } from '@iotedge-redis/common';
import { ConfigError, custom, integer, parseSettings, SuiteError, text } from '@iotedge-redis/common';

const fields = {
  host: text({ env: ['REDIS_HOST', 'HOST'], twin: 'host', default: 'localhost', description: '' }),
  port: integer({ env: 'REDIS_PORT', twin: 'port', min: 1, max: 65_535, default: 6379, description: '' }),
  password: text({ env: 'REDIS_PASSWORD', secret: true, description: '' }),
  maxRows: integer({ env: 'MAX_ROWS', twin: 'maxRows', description: '' }),
};

function mistakes(sources: Sources): string[] {
  try {
    parseSettings(fields, sources);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.mistakes.map(({ origin, name, problem }) => `${origin} ${name}: ${problem}`);
  }
  return [];
}

test('each source is stronger than the one before: default, file, environment, command line, desired', () => {
  const sources: Sources = {};
  const seen: unknown[] = [];
  const look = (more: Sources): void => {
    const { settings, origins } = parseSettings(fields, Object.assign(sources, more));
    seen.push([settings.host, origins.host]);
  };
  look({});
  look({ file: { REDIS_HOST: 'file' } });
  look({ environment: { REDIS_HOST: 'environment' } });
  look({ commandLine: { host: 'line' } });
  look({ desired: { host: 'twin' } });
  assert.deepEqual(seen, [
    ['localhost', 'default'],
    ['file', 'file'],
    ['environment', 'environment'],
    ['line', 'command line'],
    ['twin', 'twin'],
  ]);
});

test('a desired null falls back to the environment', () => {
  const { settings } = parseSettings(fields, { environment: { REDIS_HOST: 'env' }, desired: { host: null } });
  assert.equal(settings.host, 'env');
});

test('an empty environment variable is not set', () => {
  const { settings } = parseSettings(fields, { environment: { REDIS_HOST: '', HOST: 'second' } });
  assert.equal(settings.host, 'second');
});

test('a JSON config file may use names of code, twin and environment, with numbers or texts', () => {
  const { settings } = parseSettings(fields, { file: { port: 7000, MAX_ROWS: '5', HOST: 'x' } });
  assert.deepEqual({ ...settings }, { host: 'x', port: 7000, maxRows: 5, password: undefined });
});

test('every mistake of every source is told at once', () => {
  assert.deepEqual(
    mistakes({
      environment: { REDIS_PORT: 'abc', OTHER: 'ignored' },
      file: { REDIS_HSOT: 'x' },
      desired: { hots: 'x', maxRows: 'many', password: 'x', $version: 3 },
    }),
    [
      'file REDIS_HSOT: unknown; did you mean REDIS_HOST? known are: REDIS_HOST, REDIS_PORT, REDIS_PASSWORD, MAX_ROWS',
      'twin hots: unknown; did you mean host? known are: host, port, maxRows',
      'twin password: not settable by the twin; set REDIS_PASSWORD in the environment',
      'environment REDIS_PORT: expected an integer from 1 to 65535',
      'twin maxRows: expected an integer',
    ],
  );
});

test('a desired null of an unknown name is no mistake: it is how a name is taken away', () => {
  assert.deepEqual(mistakes({ desired: { oldName: null } }), []);
});

test('a secret is read from the file that <NAME>_FILE names, without its line break', () => {
  const { settings } = parseSettings(fields, {
    environment: { REDIS_PASSWORD_FILE: '/run/secrets/p' },
    readSecret: (path) => (path === '/run/secrets/p' ? 's3cret \n' : ''),
  });
  assert.equal(settings.password, 's3cret ');
});

test('a secret file that cannot be read is a mistake of the variable that names it', () => {
  const readSecret = (): string => {
    throw new SuiteError('INTERNAL', 'no such file');
  };
  assert.deepEqual(mistakes({ environment: { REDIS_PASSWORD_FILE: '/x' }, readSecret }), [
    'environment REDIS_PASSWORD_FILE: expected the path of a file that can be read',
  ]);
});

test('a secret given twice is a mistake', () => {
  const environment = { REDIS_PASSWORD: 'a', REDIS_PASSWORD_FILE: '/x' };
  assert.deepEqual(mistakes({ environment, readSecret: () => 'b' }), [
    'environment REDIS_PASSWORD: set either REDIS_PASSWORD or REDIS_PASSWORD_FILE, not both',
  ]);
});

test('only secrets are read from files', () => {
  const { settings } = parseSettings(fields, {
    environment: { REDIS_HOST_FILE: '/x' },
    readSecret: () => 'file',
  });
  assert.equal(settings.host, 'localhost');
});

test('the text of a foreign error is not shown, since it may quote the value', () => {
  const odd = {
    url: custom({
      env: 'URL',
      type: 'an address',
      description: '',
      fromText: (given): string => {
        throw new SuiteError('INTERNAL', `bad ${given}`);
      },
    }),
  };
  assert.throws(
    () => parseSettings(odd, { environment: { URL: 'hunter2' } }),
    (error: unknown) =>
      error instanceof ConfigError && error.message === 'environment URL: expected an address',
  );
});

test('what several settings together make wrong is told by the name and place that it came from', () => {
  const check = (): { name: 'host' | 'port'; problem: string }[] => [
    { name: 'host', problem: 'conflicts' },
    { name: 'port', problem: 'conflicts too' },
  ];
  assert.throws(
    () => parseSettings(fields, { desired: { host: 'x' } }, check),
    (error: unknown) =>
      error instanceof ConfigError &&
      error.message === 'twin host: conflicts; environment REDIS_PORT: conflicts too',
  );
});
