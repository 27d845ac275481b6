import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { checkoutCommand, dockerfileOf } from '../../../local-edge/src/agent/checkout-module.ts';
import { describeAge } from '../../../local-edge/src/agent/describe-age.ts';
import { readDesired } from '../../../local-edge/src/agent/desired-modules.ts';
import { mapPaths, prepareFolders } from '../../../local-edge/src/agent/folder-map.ts';
import { imageDefaults, withImageDefaults } from '../../../local-edge/src/agent/image-defaults.ts';
import { repositoryOf, tagOf, wellKnownService } from '../../../local-edge/src/agent/image-name.ts';
import { inheritedEnvironment, mergeEnvironment } from '../../../local-edge/src/agent/launch-plan.ts';
import { mosquittoConfiguration } from '../../../local-edge/src/agent/mosquitto-program.ts';
import { redisPorts } from '../../../local-edge/src/agent/redis-ports.ts';

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'launch-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

const images: readonly (readonly [string, string, string, string | undefined])[] = [
  ['redis', 'redis', '', 'redis'],
  ['redis:8.2-alpine', 'redis', '8.2-alpine', 'redis'],
  ['docker.io/library/redis:8', 'redis', '8', 'redis'],
  ['redis:8@sha256:0123', 'redis', '8', 'redis'],
  ['valkey/valkey:9', 'valkey/valkey', '9', 'valkey'],
  ['eclipse-mosquitto', 'eclipse-mosquitto', '', 'mosquitto'],
  ['localhost:5000/redis:8', 'localhost:5000/redis', '8', undefined],
  ['localhost:5000/iotedge-x', 'localhost:5000/iotedge-x', '', undefined],
  ['bitnami/redis:8', 'bitnami/redis', '8', undefined],
  ['constructor:8', 'constructor', '8', undefined],
];
for (const [image, repository, tag, service] of images) {
  test(`knows repository, tag and server of ${image}`, () => {
    assert.deepEqual(
      [repositoryOf(image), tagOf(image), wellKnownService(image)],
      [repository, tag, service],
    );
  });
}

const data = [
  { target: '/data', folder: '/state/volumes/v' },
  { target: '/data/keys', folder: '/host/keys' },
];
const paths: readonly (readonly [string, string])[] = [
  ['/data', '/state/volumes/v'],
  ['/data/a.rdb', '/state/volumes/v/a.rdb'],
  ['/data/keys/k.pem', '/host/keys/k.pem'],
  ['--dir=/data', '--dir=/state/volumes/v'],
  [
    'redis-server --dir /data && cat /data/x',
    'redis-server --dir /state/volumes/v && cat /state/volumes/v/x',
  ],
  ['file:///data/x', 'file:///state/volumes/v/x'],
  ['/database', '/database'],
  ['/mnt/data', '/mnt/data'],
  ['metadata', 'metadata'],
];
for (const [text, expected] of paths) {
  test(`maps ${JSON.stringify(text)} to this machine`, () => assert.equal(mapPaths(text, data), expected));
}

test('makes folders for mounts: volumes shared by name, the others of the module alone', (t) => {
  const dir = folder(t);
  const folders = prepareFolders(
    [
      { kind: 'volume', source: 'v', target: '/data/' },
      { kind: 'private', source: '/p', target: '/p' },
      { kind: 'memory', source: 'm', target: '/secrets/m' },
    ],
    { volumes: join(dir, 'volumes'), memoryVolumes: join(dir, 'memory'), own: join(dir, 'own') },
  );
  assert.deepEqual(folders, [
    { target: '/data', folder: join(dir, 'volumes/v') },
    { target: '/p', folder: join(dir, 'own/private/_p') },
    { target: '/secrets/m', folder: join(dir, 'memory/m') },
    { target: '/secrets', folder: join(dir, 'own/parents/_secrets'), isParent: true },
  ]);
  assert.equal(realpathSync(join(dir, 'own/parents/_secrets/m')), realpathSync(join(dir, 'memory/m')));
});

test('maps the parent of mounted folders only where a shell fills in which of them is meant', () => {
  const folders = [
    { target: '/secrets/m', folder: '/memory/m' },
    { target: '/secrets', folder: '/parents/_secrets', isParent: true },
  ] as const;
  assert.equal(
    mapPaths('f=/secrets/$who/redis; ls /secrets/*; cat /secrets/m/redis /secrets/other', folders),
    'f=/parents/_secrets/$who/redis; ls /parents/_secrets/*; cat /memory/m/redis /secrets/other',
  );
});

const commandLines: readonly (readonly [string[], number[]])[] = [
  [['redis-server'], [6379]],
  [['redis-server', '--appendonly', 'yes'], [6379]],
  [['redis-server', '--port', '7000'], [7000]],
  [['sh', '-c', 'redis-server --port 7000 --save ""'], [7000]],
  [['redis-server', '--port', '0', '--tls-port', '6380'], [6380]],
  [
    ['redis-server', '--tls-port', '6380'],
    [6379, 6380],
  ],
];
for (const [words, ports] of commandLines) {
  test(`sees the ports of ${words.join(' ')}`, () => assert.deepEqual(redisPorts(words), ports));
}

test('sees the port in a configuration file, and options before it', (t) => {
  const file = join(folder(t), 'redis.conf');
  writeFileSync(file, '# port 1\nport 7001\n');
  assert.deepEqual(redisPorts(['redis-server', file]), [7001]);
  assert.deepEqual(redisPorts(['redis-server', file, '--port', '7002']), [7002]);
});

test('sees the listeners of a mosquitto configuration', (t) => {
  const file = join(folder(t), 'mosquitto.conf');
  writeFileSync(file, 'listener 1883\nlistener 9001 0.0.0.0\nprotocol websockets\n');
  assert.deepEqual(mosquittoConfiguration(['mosquitto', '-c', file]).ports, [1883, 9001]);
  assert.deepEqual(mosquittoConfiguration(['mosquitto', '-c', '/none.conf']).ports, [1883]);
  assert.deepEqual(mosquittoConfiguration(['mosquitto', '-c', 'constructor']).ports, [1883]);
});

function checkout(t: TestContext) {
  const dir = folder(t);
  mkdirSync(join(dir, 'modules/echo/src'), { recursive: true });
  writeFileSync(join(dir, 'modules/echo/src/main.ts'), '');
  const module = {
    name: 'echo',
    folder: join(dir, 'modules/echo'),
    repository: 'r/echo',
    dockerfiles: { amd64: 'A', 'amd64.debug': 'D' },
  };
  return { module, main: join(dir, 'modules/echo/src/main.ts') };
}

test('starts a module of the checkout from its source', (t) => {
  const { module, main } = checkout(t);
  assert.deepEqual(checkoutCommand(module, null, 'file:///p', []), [
    '--conditions=source',
    '--import',
    'file:///p',
    main,
  ]);
});

test('honours the Node options and arguments of a Cmd', (t) => {
  const { module, main } = checkout(t);
  const words = ['node', '--max-semi-space-size=2', 'modules/echo/bundle/main.js', '--config-file', '/x'];
  assert.deepEqual(checkoutCommand(module, words, 'P', []), [
    '--conditions=source',
    '--max-semi-space-size=2',
    '--import',
    'P',
    main,
    '--config-file',
    '/x',
  ]);
});

test('refuses a Cmd that is not the module', (t) => {
  const { module } = checkout(t);
  for (const words of [
    ['sh', '-c', 'true'],
    ['node', 'other.js'],
    ['node', 'x', 'modules/echo/bundle/main.js'],
  ]) {
    assert.throws(() => checkoutCommand(module, words, 'P', []), /modules\/echo\/bundle\/main\.js/);
  }
});

test('finds the Dockerfile of a tag', (t) => {
  const { module } = checkout(t);
  assert.equal(dockerfileOf(module, '1.0-amd64'), 'A');
  assert.equal(dockerfileOf(module, '1.0-amd64.debug'), 'D');
  assert.equal(dockerfileOf(module, '1.0'), undefined);
});

test('takes the health check of the image where createOptions have none', (t) => {
  const file = join(folder(t), 'Dockerfile');
  writeFileSync(
    file,
    'FROM x\nHEALTHCHECK --interval=30s --timeout=500ms --retries=2 CMD ["node", "-e", "0"]\nCMD ["a"]\n',
  );
  const check = { Test: ['CMD', 'node', '-e', '0'], Interval: 30e9, Timeout: 500e6, Retries: 2 };
  const image = imageDefaults(file);
  assert.deepEqual(withImageDefaults({}, image), { Cmd: ['a'], Healthcheck: check });
  assert.deepEqual(withImageDefaults({ Healthcheck: { Interval: 1e9 }, Cmd: [] }, image), {
    Cmd: ['a'],
    Healthcheck: { ...check, Interval: 1e9 },
  });
  const own = { Healthcheck: { Test: ['NONE'] }, Entrypoint: ['b'] };
  assert.deepEqual(withImageDefaults(own, image), own);
  assert.deepEqual(withImageDefaults({}, imageDefaults(undefined)), {});
});

test('takes command and environment from the last stage of a Dockerfile alone', (t) => {
  const file = join(folder(t), 'Dockerfile');
  writeFileSync(
    file,
    'FROM x AS build\nENV A=1\nCMD ["build"]\nFROM y\nENV B=2 C=x=y\nCMD ["node", "--flag", "main.js"]\n',
  );
  const { command, env } = imageDefaults(file);
  assert.deepEqual({ command, env }, { command: ['node', '--flag', 'main.js'], env: { B: '2', C: 'x=y' } });
});

test('gives a process little of this machine and all that IoT Edge gives', () => {
  assert.deepEqual(
    inheritedEnvironment({ HOME: '/h', SECRET: 'x', TZ: 'UTC', https_proxy: 'p', npm_config_x: '1' }),
    {
      HOME: '/h',
      TZ: 'UTC',
      https_proxy: 'p',
    },
  );
  const merged = mergeEnvironment({
    base: { A: 'image', PATH: '/bin' },
    manifest: { A: 'manifest', IOTEDGE_MODULEID: 'forged', RuntimeLogLevel: 'debug', B: 'manifest' },
    injected: { IOTEDGE_MODULEID: 'm' },
    options: { B: 'options' },
  });
  assert.deepEqual(merged, {
    A: 'manifest',
    B: 'options',
    PATH: '/bin',
    RuntimeLogLevel: 'debug',
    UpstreamProtocol: 'Amqp',
    IOTEDGE_MODULEID: 'm',
  });
});

test('says how long something lasts', () => {
  const cases: [number, string][] = [
    [0, '0 seconds'],
    [1500, '1 second'],
    [65_000, '1 minute'],
    [7_300_000, '2 hours'],
    [9e8, '10 days'],
  ];
  for (const [ms, text] of cases) assert.equal(describeAge(ms), text);
});

const module = {
  type: 'docker',
  status: 'running',
  settings: { image: 'a:1', createOptions: '{"Cmd":["a"]}' },
};
const document = (modules: unknown) => ({ schemaVersion: '1.1', modules });

test('reads the modules of $edgeAgent with the defaults of edgeAgent', () => {
  const desired = readDesired(document({ a: { ...module, env: { A: { value: 1 }, B: { value: true } } } }));
  assert.equal(desired.code, 200);
  const [read] = desired.modules;
  assert(read);
  assert.deepEqual(
    [read.restartPolicy, read.startupOrder, read.env, read.createOptions],
    ['on-unhealthy', 4294967295, { A: '1', B: 'true' }, { Cmd: ['a'] }],
  );
});

test('a variable may be called as a property that every object has', () => {
  const env = JSON.parse('{"__proto__":{"value":"a"},"toString":{"value":"b"}}') as unknown;
  const names = Object.entries(readDesired(document({ a: { ...module, env } })).modules[0]?.env ?? {});
  assert.deepEqual(names, [
    ['__proto__', 'a'],
    ['toString', 'b'],
  ]);
});

test('tells a changed status from a changed definition', () => {
  const signature = (change: Record<string, unknown>) =>
    readDesired(document({ a: { ...module, ...change } })).modules[0]?.signature;
  assert.equal(signature({ status: 'stopped' }), signature({}));
  for (const change of [
    { restartPolicy: 'always' },
    { env: { A: { value: 'x' } } },
    { settings: { image: 'b' } },
    { version: '2' },
  ]) {
    assert.notEqual(signature(change), signature({}));
  }
});

const documents: readonly (readonly [Record<string, unknown>, number, RegExp])[] = [
  [{}, 417, /no deployment/],
  [{ schemaVersion: '2.0' }, 412, /1\.0 or 1\.1/],
  [document([]), 400, /not an object/],
  [document({ a: { ...module, type: 'process' } }), 400, /modules\.a: type/],
  [document({ a: { ...module, status: 'up' } }), 400, /status/],
  [document({ a: { ...module, restartPolicy: 'x' } }), 400, /restartPolicy/],
  [document({ a: { ...module, startupOrder: 1.5 } }), 400, /startupOrder/],
  [document({ a: { ...module, settings: { image: '' } } }), 400, /image/],
  [document({ a: { ...module, settings: { image: 'a', createOptions: '{' } } }), 400, /no JSON/],
  [document({ a: { ...module, env: { A: 'x' } } }), 400, /env/],
  [document({ edgeHub: module }), 400, /modules\.edgeHub: a system module/],
];
for (const [properties, code, description] of documents) {
  test(`answers ${code} for ${JSON.stringify(properties)}`, () => {
    const desired = readDesired(properties);
    assert.equal(desired.code, code);
    assert.match(desired.description, description);
    assert.deepEqual(desired.modules, []);
  });
}
