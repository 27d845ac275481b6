import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateManifest } from '../../../build/manifest/generate.ts';
import { projectWith } from '../../helpers/broken-project.ts';
import type { Template } from '../../helpers/broken-project.ts';

type Mount = Record<string, unknown> & {
  VolumeOptions?: { DriverConfig: { Options: Record<string, string> } };
};
const mounts = (t: Template, name: string): Mount[] => t.host(name)['Mounts'] as Mount[];
const modules = "$.modulesContent.$edgeAgent['properties.desired'].modules";

type Expected = readonly (readonly [path: string, problem: RegExp])[];

const cases: readonly (readonly [title: string, change: (t: Template) => void, expected: Expected])[] = [
  [
    'no list of commands for a module',
    (t) => delete t.module('redis').env['ACL_REDIS_CLIENT'],
    [[`${modules}.redis.env.ACL_REDIS_CLIENT`, /it is missing: without .* redis-client has no user\.$/]],
  ],
  [
    'a misspelt list of commands',
    (t) => {
      const { env } = t.module('redis');
      env['ACL_REDIS_CLENT'] = { value: '~* +get' };
      delete env['ACL_REDIS_CLIENT'];
    },
    [
      [`${modules}.redis.env.ACL_REDIS_CLIENT`, /did you mean ACL_REDIS_CLENT\?$/],
      [
        `${modules}.redis.env.ACL_REDIS_CLENT`,
        /no volume at \/secrets\/redis-clent .*; did you mean ACL_REDIS_CLIENT\?$/,
      ],
    ],
  ],
  [
    'the volume of a module that redis does not have',
    (t) => {
      t.host('redis')['Mounts'] = mounts(t, 'redis').filter(
        ({ Source: source }) => source !== 'redis-client-secrets',
      );
    },
    [
      [
        `${modules}.redis.settings.createOptions.HostConfig.Mounts`,
        /must be mounted at \/secrets\/redis-client\.$/,
      ],
      [`${modules}.redis.env.ACL_REDIS_CLIENT`, /no volume at \/secrets\/redis-client for the password/],
    ],
  ],
  [
    'a volume that each would make in another way',
    (t) => {
      const driver = mounts(t, 'redis-client')[0]?.VolumeOptions?.DriverConfig;
      Object.assign(driver?.Options ?? {}, { o: 'uid=0' });
    },
    [
      [
        `${modules}.redis-client.settings.createOptions.HostConfig.Mounts[0]`,
        /its DriverConfig must be that of redis/,
      ],
    ],
  ],
  [
    'a user that no list of commands makes',
    (t) => (t.module('redis-client').env['REDIS_USERNAME'] = { value: 'client' }),
    [[`${modules}.redis-client.env.REDIS_USERNAME`, /it must be redis-client, the user whose password/]],
  ],
  [
    'the user of another module, in createOptions',
    (t) => (t.module('redis-sync').settings.createOptions['Env'] = ['REDIS_USERNAME=redis-client']),
    [
      [
        `${modules}.redis-sync.settings.createOptions.Env REDIS_USERNAME`,
        /it must be redis-sync, the user whose password/,
      ],
    ],
  ],
  [
    'a file that redis does not write',
    (t) => (t.module('redis-client').env['REDIS_PASSWORD_FILE'] = { value: '/secrets/password' }),
    [[`${modules}.redis-client.env.REDIS_PASSWORD_FILE`, /redis writes the password to \/secrets\/redis\.$/]],
  ],
  [
    'a folder of the host, which somebody else fills',
    (t) => {
      t.host('redis-client')['Mounts'] = [];
      (t.host('redis-client')['Binds'] as string[]).push('/etc/redis-client-secrets:/secrets:ro');
      t.module('redis-client').env['REDIS_USERNAME'] = { value: 'own' };
    },
    [],
  ],
  [
    'no file of a volume at all, which is another way to log in',
    (t) => {
      const { env } = t.module('redis-client');
      env['REDIS_PASSWORD_FILE'] = { value: '/run/own' };
      env['REDIS_USERNAME'] = { value: 'own' };
    },
    [],
  ],
];

for (const [title, change, expected] of cases) {
  test(`RD-6: a module that could not log in to Redis is told with its place: ${title}`, async (t) => {
    const root = projectWith(t, change);
    const { findings } = await generateManifest({ root, platform: 'amd64', env: {} });
    assert.deepEqual(
      findings.map(({ path }) => path).sort(),
      expected.map(([path]) => path).sort(),
      JSON.stringify(findings, null, 1),
    );
    for (const [path, problem] of expected)
      assert.match(findings.find((one) => one.path === path)?.problem ?? '', problem);
  });
}

test('RD-6: a password of a volume that no module fills is told, since the module would wait for it for ever', async (t) => {
  const root = projectWith(t, () => undefined);
  const { findings } = await generateManifest({
    root,
    platform: 'amd64',
    env: { REDIS_ENDPOINT: '10.0.0.5:6379' },
    modules: ['redis-client'],
  });
  assert.deepEqual(
    findings.map(({ path }) => path),
    [`${modules}.redis-client.env.REDIS_PASSWORD_FILE`],
  );
  assert.match(findings[0]?.problem ?? '', /deploy it, or take .* and the volume out\.$/);
});
