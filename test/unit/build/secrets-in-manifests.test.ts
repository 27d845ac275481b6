import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateManifest } from '../../../build/manifest/generate.ts';
import { projectWith } from '../../helpers/broken-project.ts';
import type { Template } from '../../helpers/broken-project.ts';

type Change = (t: Template) => void;

/** The options of a module that is not ours. */
const options = (t: Template): Record<string, unknown> => t.module('mosquitto').settings.createOptions;
const command =
  (...words: readonly unknown[]): Change =>
  (t) =>
    (options(t)['Cmd'] = words);
const env =
  (name: string, value: { value: unknown; comment?: string }): Change =>
  (t) =>
    (t.module('mosquitto').env = { [name]: value });
const twin =
  (value: Record<string, unknown>): Change =>
  (t) =>
    (t.all['mosquitto'] = { 'properties.desired': value });

const refused: readonly (readonly [title: string, change: Change, path: string])[] = [
  ['an option and its value in two words', command('redis-server', '--requirepass', 'hunter2'), 'Cmd[2]'],
  ['the same for the primary', command('redis-server', '--masterauth', 'hunter2'), 'Cmd[2]'],
  ['-a of redis-cli', command('redis-cli', '-h', 'redis', '-a', 'hunter2'), 'Cmd[4]'],
  ['AUTH in redis-cli', command('redis-cli', 'AUTH', 'hunter2'), 'Cmd[2]'],
  ['--password', command('program', '--password', 'hunter2'), 'Cmd[2]'],
  ['--password with a number', command('program', '--password', '4711'), 'Cmd[2]'],
  ['an option with its value in one word', command('program', '--redis-password=hunter2'), 'Cmd[1]'],
  ['a property of Java', command('java', '-Dredis.password=hunter2'), 'Cmd[1]'],
  ['-P of mosquitto_pub', command('mosquitto_pub', '-u', 'bob', '-P', 'hunter2'), 'Cmd[4]'],
  ['a Redis user by words', command('redis-server', '--user', 'bob', 'on', '>hunter2'), 'Cmd[4]'],
  ['a Redis user in one word', command('redis-server', '--user bob on >hunter2 ~*'), 'Cmd[1]'],
  ['a header', command('curl', '-H', 'Authorization: Bearer hunter2'), 'Cmd[2]'],
  ['a bearer token alone', command('x', 'Bearer hunter2hunter2hunter2'), 'Cmd[1]'],
  [
    'a variable before a command',
    (t) => (options(t)['Healthcheck'] = { Test: ['CMD-SHELL', 'REDISCLI_AUTH=hunter2 redis-cli ping'] }),
    'Healthcheck.Test[1]',
  ],
  ...[
    'REDISCLI_AUTH',
    'REDIS_PASS',
    'REDIS_PWD',
    'PASSWORD_OLD',
    'MQTT_PASSWORD1',
    'pwd',
    'blobSas',
    'adminPass',
    'API_KEY',
  ].map((name) => [`the variable ${name}`, env(name, { value: 'hunter2' }), `env.${name}`] as const),
  ['a password that is a number', env('PASSWORD', { value: 4711 }), 'env.PASSWORD'],
  ['a value with a comment', env('PASSWORD', { value: 'hunter2', comment: 'y' }), 'env.PASSWORD'],
  [
    'a password in JSON',
    env('CONFIG', { value: '{"user": "u", "password": "hunter2"}' }),
    'env.CONFIG.value',
  ],
  [
    'a password in a connection string',
    env('DB', { value: 'Host=h;Password=hunter2;Port=1' }),
    'env.DB.value',
  ],
  ['a list of passwords', twin({ passwords: ['hunter2'] }), '.passwords'],
  ['a password in an object', twin({ login: { password: { text: 'hunter2' } } }), '.login.password'],
  ['a header in a twin', twin({ headers: { Authorization: 'Bearer hunter2' } }), '.headers.Authorization'],
  ['a name with a dot', (t) => (options(t)['Env'] = ['my.password=hunter2']), 'Env[0]'],
  ['a password with a $ in an address', twin({ at: 'redis://u:$hunter2@redis:6379' }), '.at'],
  [
    'the login of a share',
    (t) =>
      (t.host('mosquitto')['Mounts'] = [
        {
          Type: 'volume',
          Source: 'share',
          Target: '/share',
          VolumeOptions: { DriverConfig: { Name: 'local', Options: { o: 'username=u,password=hunter2' } } },
        },
      ]),
    'DriverConfig.Options.o',
  ],
  [
    'logins of registries in the twin of a module',
    twin({ registryCredentials: { a: { username: 'u', password: 'hunter2', address: 'a' } } }),
    '.registryCredentials',
  ],
];

for (const [title, change, path] of refused) {
  test(`RD-14, RD-15: a secret in clear text is refused: ${title}`, async (t) => {
    const root = projectWith(t, change);
    const { findings } = await generateManifest({ root, platform: 'amd64', env: {} });
    const found = findings.filter(({ problem }) => problem.includes('is in clear text'));
    assert.deepEqual(
      found.map((one) => one.path.endsWith(path) || one.path),
      [true],
      JSON.stringify(findings, null, 1),
    );
    assert.doesNotMatch(JSON.stringify(findings), /hunter2|4711/);
  });
}

for (const rules of ['~* +get >hunter2', '~* +get nopass', `~* +get #${'0'.repeat(64)}`]) {
  test(`RD-6: a list of commands with a way in of its own is refused: ${rules.slice(8, 14)}`, async (t) => {
    const root = projectWith(t, (template) => {
      template.module('redis').env['ACL_REDIS_CLIENT'] = { value: rules };
    });
    const { findings } = await generateManifest({ root, platform: 'amd64', env: {} });
    assert.equal(findings.length, 1, JSON.stringify(findings, null, 1));
    assert.match(findings[0]?.path ?? '', /modules\.redis\.env\.ACL_REDIS_CLIENT$/);
    assert.match(findings[0]?.problem ?? '', /it must hold no password/);
  });
}

const taken: readonly (readonly [title: string, change: Change])[] = [
  ['the name of a file', command('program', '--password-file', '/run/secrets/redis')],
  ['a file in a variable', env('POSTGRES_PASSWORD_FILE', { value: '/run/secrets/db' })],
  ['a password that a shell reads', command('sh', '-c', 'redis-cli -a "$(cat /run/pw)" ping')],
  ['a variable of a shell', command('sh', '-c', 'pass=$(cat /run/pw); exec program --password "$pass"')],
  ['an address that a shell makes', command('sh', '-c', 'exec program redis://u:$pw@redis:6379')],
  ['a redirection', command('sh', '-c', 'redis-cli --user operator ping >/dev/null')],
  ['a switch', env('ALLOW_EMPTY_PASSWORD', { value: 'yes' })],
  ['JSON with the name of a file', env('CONFIG', { value: '{"passwordFile": "/run/x", "maxTokens": 5}' })],
  [
    'JSON without a password',
    env('CONFIG', { value: '{"password": null, "token": "", "secret": {"file": "/run/x"}}' }),
  ],
  ['a number of tokens', twin({ maxTokens: 5 })],
  ['a way to log in', env('MQTT_AUTH', { value: 'none' })],
  ['where a password is', twin({ password: { file: '/run/secrets/x' } })],
  ['a folder that is called so', (t) => (t.host('mosquitto')['Tmpfs'] = { '/run/secrets': 'size=1m' })],
  ['a word that ends so', env('BYPASS', { value: 'x' })],
  [
    'the login of a registry',
    (t) =>
      ((t.agent['runtime'] as { settings: Record<string, unknown> }).settings['registryCredentials'] = {
        own: { username: 'u', password: 'x', address: 'a' },
      }),
  ],
];

for (const [title, change] of taken) {
  test(`RD-14: what is no secret passes: ${title}`, async (t) => {
    const root = projectWith(t, change);
    const { findings } = await generateManifest({ root, platform: 'amd64', env: {} });
    assert.deepEqual(findings, []);
  });
}
