import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { deployedModules, optionEnv } from '../../../build/manifest/content.ts';
import type { Content, DeployedModule } from '../../../build/manifest/content.ts';
import { generateManifest } from '../../../build/manifest/generate.ts';
import { parseDotenv } from '../../../local-edge/src/manifest/dotenv.ts';
import { projectWith } from '../../helpers/broken-project.ts';
import { DEPLOYED_VERSION } from '../../helpers/redis-versions.ts';

const root = join(import.meta.dirname, '../../..');
const envPath = join(root, '.env.template');
const own = readdirSync(join(root, 'modules')).filter((name) => name !== 'common');

async function manifest(options: object = {}): Promise<{ content: Content; text: string }> {
  const { text = '', findings } = await generateManifest({
    root,
    platform: 'amd64',
    envPath,
    env: {},
    ...options,
  });
  assert.deepEqual(findings, []);
  return { content: (JSON.parse(text) as { modulesContent: Content }).modulesContent, text };
}

function named(content: Content, name: string): DeployedModule {
  const found = deployedModules(content).find((one) => one.name === name);
  assert(found !== undefined, name);
  return found;
}

for (const isDebug of [false, true]) {
  for (const platform of isDebug ? ['amd64', 'arm64v8'] : ['amd64', 'arm64v8', 'arm32v7']) {
    test(`RD-17: nothing is wrong with the ${isDebug ? 'debug ' : ''}manifest for ${platform}, made with .env.template alone`, async () => {
      const { content } = await manifest({ isDebug, platform });
      for (const name of own)
        assert.match(named(content, name).image, new RegExp(`-${platform}${isDebug ? '\\.debug' : ''}$`));
    });
  }
}

test('every module of this repository is deployed, and has a twin with its endpoint', async () => {
  const { content } = await manifest();
  for (const name of own) assert.match(JSON.stringify(content[name]), /"endpoint":"redis:6379"/, name);
});

test('the debug template differs in images, ports of the debugger and nothing else', () => {
  const read = (file: string): string => readFileSync(join(root, file), 'utf8');
  const plain = JSON.parse(
    read('deployment.debug.template.json').replaceAll('.debug}"', '}"'),
    (key, value: unknown) => (key === 'ExposedPorts' ? undefined : value),
  ) as { modulesContent: { $edgeAgent: { 'properties.desired': { modules: Record<string, never> } } } };
  for (const name of own) {
    const host = (
      plain.modulesContent.$edgeAgent['properties.desired'].modules[name] as unknown as {
        settings: { createOptions: { HostConfig: { PortBindings?: unknown } } };
      }
    ).settings.createOptions.HostConfig;
    // The debugger is for whoever sits at the device.
    assert.match(
      JSON.stringify(host.PortBindings),
      /^\{"9229\/tcp":\[\{"HostIp":"127\.0\.0\.1","HostPort":"\d+"\}\]\}$/,
    );
    delete host.PortBindings;
  }
  assert.deepEqual(plain, JSON.parse(read('deployment.template.json')));
});

test('RD-24: every container is locked up: a user of its own, no capabilities, nothing to write to, limits of memory and log', async () => {
  const { content } = await manifest();
  const modules = deployedModules(content).filter(({ name }) => name !== 'edgeAgent' && name !== 'edgeHub');
  assert.equal(modules.length, own.length + 2);
  for (const { name, options, hostConfig } of modules) {
    assert.match(String(options?.['User']), /^[1-9]\d*:[1-9]\d*$/, name);
    assert.deepEqual(hostConfig['CapDrop'], ['ALL'], name);
    assert.deepEqual(hostConfig['SecurityOpt'], ['no-new-privileges'], name);
    assert.equal(hostConfig['ReadonlyRootfs'], true, name);
    assert.equal(typeof hostConfig['Memory'], 'number', name);
    assert.match(JSON.stringify(hostConfig['LogConfig']), /max-size.*max-file/, name);
    assert.equal(hostConfig['PortBindings'], undefined, name);
    assert.equal(hostConfig['Privileged'], undefined, name);
  }
});

test('RD-6: each module logs in to Redis as itself, with a password that only it and Redis can read', async () => {
  const { content, text } = await manifest();
  const redis = named(content, 'redis');
  const mounts = (module: DeployedModule): { Source: string; Target: string }[] =>
    module.hostConfig['Mounts'] as { Source: string; Target: string }[];
  for (const name of own) {
    const module = named(content, name);
    assert.equal(module.env['REDIS_USERNAME'], name);
    assert.equal(module.env['REDIS_PASSWORD_FILE'], '/secrets/redis');
    assert(`ACL_${name.toUpperCase().replaceAll('-', '_')}` in redis.env, name);
    const holders = deployedModules(content).filter((one) =>
      one.hostConfig['Mounts'] === undefined
        ? false
        : mounts(one).some((mount) => mount.Source === `${name}-secrets`),
    );
    assert.deepEqual(holders.map((one) => one.name).sort(), ['redis', name].sort());
    assert.deepEqual(
      mounts(redis).find((mount) => mount.Source === `${name}-secrets`)?.Target,
      `/secrets/${name}`,
    );
  }
  assert.doesNotMatch(text, /requirepass/);
  for (const [name, rules] of Object.entries(redis.env))
    if (name.startsWith('ACL_')) assert.doesNotMatch(rules, /allcommands|\+@|nopass/, name);
});

test('RD-25: the heap of each module of this repository fits into its memory limit', async () => {
  const { content } = await manifest();
  for (const name of own) {
    const module = named(content, name);
    assert.match(
      optionEnv(module)['NODE_OPTIONS'] ?? module.env['NODE_OPTIONS'] ?? '',
      /--max-old-space-size=\d+/,
      name,
    );
  }
});

test('RD-27: what goes to IoT Hub waits for seven days while the link is down', async () => {
  const { content } = await manifest();
  assert.match(JSON.stringify(content['$edgeHub']), /"timeToLiveSecs":604800/);
});

test('RD-10: Redis and the broker start before the modules that use them', async () => {
  const { text } = await manifest();
  const { modules } = (
    JSON.parse(text) as {
      modulesContent: {
        $edgeAgent: { 'properties.desired': { modules: Record<string, { startupOrder: number }> } };
      };
    }
  ).modulesContent.$edgeAgent['properties.desired'];
  for (const [name, { startupOrder }] of Object.entries(modules))
    assert.equal(startupOrder, own.includes(name) ? 1 : 0, name);
});

test('RD-1: Redis is bound to a host port by two variables and not without them', async () => {
  const { content } = await manifest();
  assert.equal(named(content, 'redis').hostConfig['PortBindings'], undefined);
  const asked = await manifest({ env: { REDIS_PUBLISH: 'PortBindings', REDIS_ENDPOINT: 'gateway:6379' } });
  assert.deepEqual(named(asked.content, 'redis').hostConfig['PortBindings'], {
    '6379/tcp': [{ HostPort: '6379' }],
  });
  assert.match(JSON.stringify(asked.content['redis-client']), /"endpoint":"gateway:6379"/);
});

test('the runtime, the server and its digest are chosen by variables', async () => {
  const image = `redis:8.0-alpine@sha256:${'0'.repeat(64)}`;
  const { content } = await manifest({ env: { EDGE_RUNTIME_VERSION: '1.5', REDIS_IMAGE: image } });
  assert.equal(named(content, 'redis').image, image);
  assert.equal(named(content, 'edgeHub').image, 'mcr.microsoft.com/azureiotedge-hub:1.5');
  const valkey = await manifest({ env: { REDIS_IMAGE: 'valkey/valkey:9.1-alpine' } });
  assert.equal(named(valkey.content, 'redis').image, 'valkey/valkey:9.1-alpine');
});

test('--modules keeps the named modules and what belongs to them', async () => {
  const { content } = await manifest({ modules: ['redis', 'redis-client'] });
  assert.deepEqual(Object.keys(content), ['$edgeAgent', '$edgeHub', 'redis-client']);
  const redis = named(content, 'redis');
  assert.deepEqual(Object.keys(redis.env), ['ACL_REDIS_CLIENT']);
  assert.equal((redis.hostConfig['Mounts'] as unknown[]).length, 2);
  assert.deepEqual((content['$edgeHub']?.['properties.desired'] as { routes: object }).routes, {});
});

test('--modules with a name that is none is refused with those that are', async () => {
  const { text, findings } = await generateManifest({ root, envPath, env: {}, modules: ['redis', 'redsi'] });
  assert.equal(text, undefined);
  assert.match(findings[0]?.problem ?? '', /no module redsi; it has redis, mosquitto/);
});

test('RD-26: the image of Redis that .env.template names is of a version that the tests run', () => {
  const { REDIS_IMAGE: image = '' } = parseDotenv(readFileSync(envPath, 'utf8'));
  assert.equal(/^redis:(\d+\.\d+)-alpine$/.exec(image)?.[1], DEPLOYED_VERSION);
});

test('.env.template explains every variable that the templates use, and has no other', () => {
  const used = new Set(
    [
      'deployment.template.json',
      'deployment.debug.template.json',
      ...own.map((name) => `modules/${name}/module.json`),
    ]
      .map((file) => readFileSync(join(root, file), 'utf8'))
      .flatMap((text) => [...text.matchAll(/\$\{([A-Z0-9_]+)\}/g)].map((match) => match[1] ?? '')),
  );
  const lines = readFileSync(envPath, 'utf8').split('\n');
  const declared = lines.flatMap((line) => /^([A-Z0-9_]+)=/.exec(line)?.[1] ?? []);
  assert.deepEqual(declared.sort(), [...used].sort());
});

test('a second instance of a module is checked as the module that it is', async (t) => {
  const project = projectWith(t, (template) => {
    template.modules['second'] = structuredClone(template.module('redis-client'));
    template.all['second'] = { 'properties.desired': { endpoit: 'redis:6379' } };
  });
  const { findings } = await generateManifest({ root: project, platform: 'amd64', env: {} });
  assert.match(findings[0]?.path ?? '', /second\['properties\.desired'\]\.endpoit$/);
});

test('the start script of redis is the same whatever is in the environment of whoever makes the manifest', async () => {
  const scriptOf = async (env: Record<string, string>): Promise<string> => {
    const { content } = await manifest({ env });
    return (named(content, 'redis').options?.['Cmd'] as string[])[2] ?? '';
  };
  const script = await scriptOf({});
  const used = new Set([...script.matchAll(/\$\{?([A-Za-z_]\w*)/g)].map(([, name = '']) => name));
  assert.deepEqual([...used].sort(), ['acl_file', 'acl_name', 'acl_rules', 'tls_client', 'tls_server']);
  const everyday = ['who', 'may', 'secret', 'server', 'client', 'user', 'name', 'HOME', 'PATH'];
  assert.equal(await scriptOf(Object.fromEntries(everyday.map((name) => [name, 'other']))), script);
});

test('a user is made for a module of any name that IoT Edge takes, also one with a digit', async () => {
  const { content } = await manifest();
  const [, , script = ''] = named(content, 'redis').options?.['Cmd'] as string[];
  const command = /sed -n '(s\/\^ACL_[^']+)'/.exec(script)?.[1] ?? '';
  const { stdout } = spawnSync('sed', ['-n', command], {
    input: 'ACL_REDIS_CLIENT_2=~* +get\nOTHER=x\n',
    encoding: 'utf8',
  });
  assert.equal(stdout, 'REDIS_CLIENT_2 ~* +get\n');
});
