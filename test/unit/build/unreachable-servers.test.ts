import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateManifest } from '../../../build/manifest/generate.ts';
import { projectWith } from '../../helpers/broken-project.ts';

interface Wrong {
  readonly title: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly modules?: readonly string[];
  /** The end of the path of each finding. */
  readonly path: string;
  readonly problem: RegExp;
}

const tls = {
  REDIS_TLS: 'on',
  REDIS_ENDPOINT: 'rediss://redis:6379',
  REDIS_TLS_FOLDER: '/etc/redis-tls',
  REDIS_CA_FOLDER: '/etc/redis-ca',
};
const pair = ['redis', 'redis-client'];
const endpoint = "redis-client['properties.desired'].endpoint";

const wrong: readonly Wrong[] = [
  {
    title: 'a broker that --modules leaves out',
    modules: ['redis', 'stream-to-mqtt'],
    path: 'modules.stream-to-mqtt.settings.createOptions.Env MQTT_BROKER_HOST',
    problem: /names the module mosquitto, which --modules leaves out/,
  },
  {
    title: 'a port on which redis does not listen',
    env: { REDIS_ENDPOINT: 'redis:6380' },
    modules: pair,
    path: endpoint,
    problem: /redis listens on port 6379 alone/,
  },
  ...['localhost:6379', '127.0.0.1:6379', 'redis://[::1]:6379'].map((address) => ({
    title: `the module itself: ${address}`,
    env: { REDIS_ENDPOINT: address },
    modules: pair,
    path: endpoint,
    problem: /is the container of the module itself/,
  })),
  {
    title: 'a module that is no Redis',
    env: { REDIS_ENDPOINT: 'mosquitto:6379' },
    modules: [...pair, 'mosquitto'],
    path: endpoint,
    problem: /the module mosquitto is no Redis/,
  },
  {
    title: 'a module of this repository, which is none either',
    env: { REDIS_ENDPOINT: 'redis-client:6379' },
    modules: pair,
    path: endpoint,
    problem: /the module redis-client is no Redis/,
  },
  ...['redis:7.0-alpine', 'redis:6.2-alpine', 'redis:6', 'docker.io/library/redis:7.0.15'].map((image) => ({
    title: `a Redis that ends with these lists: ${image}`,
    env: { REDIS_IMAGE: image },
    modules: pair,
    path: 'modules.redis.settings.image',
    problem: /it must be Redis 7\.2 or newer/,
  })),
  {
    title: 'TLS without the folder of the server',
    env: { ...tls, REDIS_TLS_FOLDER: 'redis-tls' },
    modules: pair,
    path: 'modules.redis.settings.createOptions.HostConfig.Binds[0]',
    problem: /set REDIS_TLS_FOLDER to its absolute path/,
  },
  {
    title: 'TLS without the folder of the CA',
    env: { ...tls, REDIS_CA_FOLDER: 'redis-ca' },
    modules: pair,
    path: 'modules.redis-client.settings.createOptions.HostConfig.Binds[0]',
    problem: /set REDIS_CA_FOLDER to its absolute path/,
  },
];

for (const { title, env = {}, modules, path, problem } of wrong) {
  test(`RD-17: what a module could never reach is told: ${title}`, async (t) => {
    const root = projectWith(t, () => undefined);
    const { findings } = await generateManifest({
      root,
      platform: 'amd64',
      env,
      ...(modules === undefined ? {} : { modules }),
    });
    const [found] = findings;
    assert(found !== undefined && findings.length === 1, JSON.stringify(findings, null, 1));
    assert(found.path.endsWith(path), found.path);
    assert.match(found.problem, problem);
  });
}

const right: readonly (readonly [title: string, env: Readonly<Record<string, string>>])[] = [
  ['TLS with both folders', tls],
  ['no port, which is 6379', { REDIS_ENDPOINT: 'redis' }],
  ['a major version alone, which is the newest of it', { REDIS_IMAGE: 'redis:7-alpine' }],
  ['the first version that has WAITAOF', { REDIS_IMAGE: 'redis:7.2' }],
  ['a version that is not said', { REDIS_IMAGE: 'redis:latest' }],
];

for (const [title, env] of right) {
  test(`RD-17: what a module can reach passes: ${title}`, async (t) => {
    const root = projectWith(t, () => undefined);
    const { findings } = await generateManifest({ root, platform: 'amd64', env });
    assert.deepEqual(findings, []);
  });
}
