import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { parse } from 'yaml';
import { compose } from '../../../build/compose.ts';
import { composeFile } from '../../../build/compose-file.ts';
import { readImageModules } from '../../../build/image-modules.ts';
import { parseDotenv } from '../../../local-edge/src/manifest/dotenv.ts';
import type { Fields } from '../../../modules/common/src/index.ts';
import { allFields, integer } from '../../../modules/common/src/index.ts';

const root = join(import.meta.dirname, '../../..');

interface Service {
  readonly image: string;
  readonly build?: { readonly context: string; readonly dockerfile: string };
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly user: string;
  readonly read_only: boolean;
  readonly cap_drop: readonly string[];
  readonly security_opt: readonly string[];
  readonly mem_limit: number;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly healthcheck?: { readonly test: readonly string[]; readonly interval: string };
  readonly logging: { readonly options: Readonly<Record<string, string>> };
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

const text = readFileSync(join(root, 'deploy/compose.yaml'), 'utf8');
const { services, volumes } = parse(text, { version: '1.1' }) as Compose;
const modules = readImageModules(root);

async function variablesOf(name: string): Promise<Set<string>> {
  const url = pathToFileURL(join(root, 'modules', name, 'src/settings.ts')).href;
  const { fields } = (await import(url)) as { fields: Fields };
  return new Set(
    Object.values(allFields({ name, fields })).flatMap(({ env, secret }) =>
      secret ? [...env, ...env.map((one) => `${one}_FILE`)] : env,
    ),
  );
}

test('deploy/compose.yaml is the one that `npm run compose` writes', async () => {
  assert.equal(text, await composeFile(root), 'run npm run compose');
});

test('Docker Compose, where there is one, accepts the file', (t) => {
  const file = join(root, 'deploy/compose.yaml');
  const version = spawnSync('docker', ['compose', 'version']);
  if (version.status !== 0) {
    t.diagnostic('NOT RUN: there is no Docker Compose here, so the file was only parsed');
    assert.ok(Object.keys(services).length > 0);
    return;
  }
  const { status, stderr } = spawnSync('docker', ['compose', '-f', file, 'config', '--quiet'], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
});

test('the services are those of the deployment template', () => {
  const template = JSON.parse(readFileSync(join(root, 'deployment.template.json'), 'utf8')) as {
    modulesContent: { $edgeAgent: { 'properties.desired': { modules: Record<string, unknown> } } };
  };
  const expected = template.modulesContent.$edgeAgent['properties.desired'].modules;
  assert.deepEqual(Object.keys(services), Object.keys(expected));
});

for (const [name, service] of Object.entries(services)) {
  test(`${name}: no root, nothing writable but its volumes, no rights, bounded memory and logs, no port but on loopback`, () => {
    assert.match(service.user, /^[1-9]\d*:\d+$/);
    assert.equal(service.read_only, true);
    assert.deepEqual(service.cap_drop, ['ALL']);
    assert.deepEqual(service.security_opt, ['no-new-privileges:true']);
    assert.ok(service.mem_limit > 0 && service.mem_limit <= 512 << 20);
    assert.deepEqual(Object.keys(service.logging.options), ['max-size', 'max-file']);
    for (const port of service.ports ?? []) assert.match(port, /^127\.0\.0\.1:/);
    for (const volume of service.volumes ?? []) {
      const source = volume.replace(/^\$\{\w+:-([^}]*)\}/, '$1').split(':')[0] ?? '';
      assert.ok(source in volumes, `${volume} is declared`);
    }
  });
}

for (const { name, title, version } of modules.filter((module) => module.name in services)) {
  test(`${name}: its own image, built from here, and only variables that it knows`, async () => {
    const service = services[name];
    assert.ok(service?.build !== undefined);
    const { image, build, environment = {} } = service;
    assert.equal(
      image,
      `\${CONTAINER_REGISTRY_SERVER:-localhost:5000}/${title}:${version}-\${DEFAULT_PLATFORM:-amd64}`,
    );
    const dockerfile = build.dockerfile.replace('${DEFAULT_PLATFORM:-amd64}', 'amd64');
    assert.ok(existsSync(join(root, 'deploy', build.context, dockerfile)));
    const known = await variablesOf(name);
    for (const variable of Object.keys(environment))
      assert.ok(known.has(variable) || variable === 'NODE_OPTIONS', `${name} knows no ${variable}`);
    assert.equal(environment['REDIS_HOST'], '${REDIS_HOST:-redis}', "the seed's name for the place of Redis");
    // Its health is the image's own HEALTHCHECK.
    assert.equal(service.healthcheck, undefined);
  });
}

test('redis is watched, keeps its data on a volume, and is not published', () => {
  const { redis } = services;
  assert.match(redis?.healthcheck?.test.join(' ') ?? '', /PONG\|LOADING/);
  assert.equal(redis?.healthcheck?.interval, '10s');
  assert.equal(redis.ports, undefined);
  assert.ok(redis.volumes?.includes('redis-data:/data'));
});

test('a dollar of a command stays one, and a variable of .env.template gets its default', () => {
  const { redis } = services;
  assert.match(redis?.command?.at(-1) ?? '', /\$\$\(cat \/run\/operator\)/);
  for (const [, name = ''] of text.replaceAll('$$', '').matchAll(/\$\{?(\w+)/g))
    assert.match(text, new RegExp(`\\$\\{${name}:?-`), `${name} has a default`);
});

test('every variable of deploy/env.template is known to a module or to compose.yaml', async () => {
  const template = readFileSync(join(root, 'deploy/env.template'), 'utf8').replaceAll(/^#(?=[A-Z])/gm, '');
  const known = new Set(
    (await Promise.all(modules.map(({ name }) => variablesOf(name)))).flatMap((one) => [...one]),
  );
  for (const name of Object.keys(parseDotenv(template, {})))
    assert.ok(known.has(name) || text.includes(`\${${name}:-`), `nobody knows ${name}`);
});

const oneModule = (twin: object) => ({
  modulesContent: {
    $edgeAgent: {
      'properties.desired': {
        modules: { one: { settings: { image: '${MODULES.one}', createOptions: {} } } },
      },
    },
    one: { 'properties.desired': twin },
  },
});
const one = {
  name: 'one',
  title: 'iotedge-one',
  version: '1.0.0',
  settings: { window: integer({ env: 'WINDOW', twin: 'window', default: 1, description: '.' }) },
};

test('a desired property becomes the variable of the same setting', () => {
  const input = {
    template: JSON.parse(JSON.stringify(oneModule({ window: 5 }))) as never,
    defaults: {},
    modules: [one],
  };
  const written = parse(compose(input)) as Compose;
  assert.deepEqual(written.services['one']?.environment, { WINDOW: '${WINDOW:-5}' });
});

test('a desired property that no variable can say is refused, not left out', () => {
  const input = {
    template: JSON.parse(JSON.stringify(oneModule({ wimdow: 5 }))) as never,
    defaults: {},
    modules: [one],
  };
  assert.throws(() => compose(input), /one: the desired property wimdow has no variable/);
});
