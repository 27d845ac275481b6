import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { generateManifest } from '../../../build/manifest/generate.ts';
import { projectWith } from '../../helpers/broken-project.ts';
import type { Template } from '../../helpers/broken-project.ts';

interface Broken {
  readonly title: string;
  readonly change: (template: Template) => void;
  /** The end of the JSON path of the finding. */
  readonly path: string;
  readonly problem: RegExp;
}

const client = 'modules.redis-client';
/** The question of the start command of Redis, with a value put in. */
function changeCommand(t: Template, question: string): void {
  const { createOptions } = t.module('redis').settings;
  const words = createOptions['Cmd'] as string[];
  createOptions['Cmd'] = words.map((word) => word.replace('[ ${REDIS_TLS} = on ]', question));
}
const deep = (levels: number): unknown => (levels === 0 ? 1 : { a: deep(levels - 1) });

const manifests: readonly Broken[] = [
  {
    title: 'a placeholder of a module that is not here',
    change: (t) => (t.module('redis-client').settings.image = '${MODULES.redis-clint}'),
    path: `${client}.settings.image`,
    problem: /there is no module "redis-clint" with a module\.json; there are .*redis-client/,
  },
  {
    title: 'a placeholder of a platform that the module does not have',
    change: (t) => (t.module('redis-client').settings.image = '${MODULES.redis-client.s390x}'),
    path: `${client}.settings.image`,
    problem: /has no platform "s390x" in its module\.json; it has amd64/,
  },
  {
    title: 'a placeholder with text around it',
    change: (t) => (t.module('redis-client').settings.image = 'x/${MODULES.redis-client}'),
    path: `${client}.settings.image`,
    problem: /must be the whole image/,
  },
  {
    title: 'a placeholder outside of an image',
    change: (t) => (t.module('redis-client').env['LOG_LEVEL'] = { value: '${MODULES.redis-client}' }),
    path: `${client}.env.LOG_LEVEL.value`,
    problem: /filled in only as settings\.image/,
  },
  {
    title: 'a variable that is not set',
    change: (t) => (t.twin('redis-client')['endpoint'] = '${REDIS_ENDPONT}'),
    path: "redis-client['properties.desired'].endpoint",
    problem: /\$\{REDIS_ENDPONT\} is not set\. Set it in \.env/,
  },
  {
    title: 'a variable that is not set, in an image',
    change: (t) => (t.module('redis').settings.image = 'redis:$REDIS_TAG'),
    path: 'modules.redis.settings.image',
    problem: /\$REDIS_TAG is not set/,
  },
  {
    title: 'a name of a module that IoT Hub does not take',
    change: (t) => (t.modules['redis client'] = t.module('redis-client')),
    path: 'modules.redis client',
    problem: /use ASCII letters, digits, "_" and "-"/,
  },
  {
    title: 'a module with the name of a system module',
    change: (t) => (t.modules['edgeHub'] = t.module('redis-client')),
    path: 'modules.edgeHub',
    problem: /system module has this name/,
  },
  {
    title: 'a name of a route with a dot',
    change: (t) => (t.routes['to.cloud'] = 'FROM /messages/* INTO $upstream'),
    path: ".routes['to.cloud']",
    problem: /must not hold/,
  },
  {
    title: 'a name of a variable with a blank',
    change: (t) => (t.module('redis').env['A B'] = { value: 'x' }),
    path: "modules.redis.env['A B']",
    problem: /must not hold \+, #, \$, \. or blanks/,
  },
  {
    title: 'a variable without a value',
    change: (t) => Object.assign(t.module('redis').env, { NOTHING: 'x' }),
    path: 'modules.redis.env.NOTHING',
    problem: /must be an object with "value"/,
  },
  {
    title: 'a route from a module that is not there',
    change: (t) => (t.routes['r'] = 'FROM /messages/modules/sensor/outputs/x INTO $upstream'),
    path: '.routes.r',
    problem: /there is no module sensor to lead messages from/,
  },
  {
    title: 'a route to a module that is not there',
    change: (t) =>
      (t.routes['r'] =
        'FROM /messages/modules/stream-to-mqtt/* INTO BrokeredEndpoint("/modules/sensor/inputs/in")'),
    path: '.routes.r',
    problem: /there is no module sensor to lead messages to/,
  },
  {
    title: 'a route to an input that the module does not have',
    change: (t) =>
      (t.routes['r'] =
        'FROM /messages/modules/stream-to-mqtt/* INTO BrokeredEndpoint("/modules/redis-client/inputs/set")'),
    path: '.routes.r',
    problem: /redis-client has no input set; it has none/,
  },
  {
    title: 'a route that edgeHub cannot read',
    change: (t) => (t.routes['r'] = 'FROM /messages/* TO $upstream'),
    path: '.routes.r',
    problem: /INTO/,
  },
  {
    title: 'a route that is nested too deep',
    change: (t) =>
      (t.routes['r'] = `FROM /messages/* WHERE ${'('.repeat(1000)}a = 1${')'.repeat(1000)} INTO $upstream`),
    path: '.routes.r',
    problem: /nested deeper than 100 levels/,
  },
  {
    title: 'an unknown schema version of $edgeHub',
    change: (t) => (t.hub['schemaVersion'] = '2.0'),
    path: "$edgeHub['properties.desired'].schemaVersion",
    problem: /must be one of/,
  },
  {
    title: 'an unknown schema version of $edgeAgent',
    change: (t) => (t.agent['schemaVersion'] = '1.7'),
    path: '.schemaVersion',
    problem: /must be "1\.0" or "1\.1"/,
  },
  {
    title: 'a time to live that is no number',
    change: (t) => (t.hub['storeAndForwardConfiguration'] = { timeToLiveSecs: '7 days' }),
    path: "$edgeHub['properties.desired'].storeAndForwardConfiguration.timeToLiveSecs",
    problem: /must be a whole number/,
  },
  {
    title: 'a misspelt option of Docker',
    change: (t) => (t.module('redis').settings.createOptions['WorkinDir'] = '/data'),
    path: 'createOptions.WorkinDir',
    problem: /Docker knows no such option; did you mean WorkingDir\?/,
  },
  {
    title: 'an option of HostConfig in the wrong place',
    change: (t) => (t.module('redis').settings.createOptions['Memory'] = 1),
    path: 'createOptions.Memory',
    problem: /Docker knows no such option/,
  },
  {
    title: 'an option of the wrong type',
    change: (t) => (t.host('redis')['Memory'] = '256m'),
    path: 'HostConfig.Memory',
    problem: /it must be a whole number/,
  },
  {
    title: 'a memory limit that the engine refuses',
    change: (t) => (t.host('mosquitto')['Memory'] = 1024),
    path: 'HostConfig.Memory',
    problem: /no less than 6 MB/,
  },
  {
    title: 'a command that is no list of texts',
    change: (t) => (t.module('redis').settings.createOptions['Cmd'] = ['redis-server', 6379]),
    path: 'createOptions.Cmd',
    problem: /a list of texts/,
  },
  {
    title: 'createOptions that are no JSON',
    change: (t) => Object.assign(t.module('redis').settings, { createOptions: '{"Cmd":' }),
    path: 'modules.redis.settings.createOptions',
    problem: /it is no JSON/,
  },
  {
    title: 'createOptions longer than the tools take',
    change: (t) => (t.module('redis').settings.createOptions['Labels'] = { long: 'x'.repeat(4096) }),
    path: 'modules.redis.settings.createOptions',
    problem: /the tools take 4096 at most/,
  },
  {
    title: 'a gap in the pieces of createOptions',
    change: (t) =>
      Object.assign(t.module('mosquitto').settings, { createOptions: '{', createOptions02: '}' }),
    path: 'modules.mosquitto.settings.createOptions',
    problem: /createOptions01 is missing/,
  },
  {
    title: 'a health check in seconds',
    change: (t) =>
      (t.module('redis').settings.createOptions['Healthcheck'] = { Test: ['CMD', 'true'], Interval: 10 }),
    path: 'Healthcheck.Interval',
    problem: /nanoseconds/,
  },
  {
    title: 'a bind without a path of the host',
    change: (t) => (t.host('redis')['Binds'] = ['./tls:/tls']),
    path: 'HostConfig.Binds[0]',
    problem: /an absolute path of the host or the name of a volume/,
  },
  {
    title: 'two mounts on one folder',
    change: (t) => (t.host('redis')['Binds'] = ['other:/data']),
    path: 'HostConfig.Binds[0]',
    problem: /\/data is the target of two mounts/,
  },
  {
    title: 'a port that is none',
    change: (t) => (t.host('redis')['PortBindings'] = { '70000/tcp': [{ HostPort: '6379' }] }),
    path: "PortBindings['70000/tcp']",
    problem: /from 1 to 65535/,
  },
  {
    title: 'a host port without a number, which would be any',
    change: (t) => (t.host('redis')['PortBindings'] = { '6379/tcp': [{ HostPort: '' }] }),
    path: "PortBindings['6379/tcp']",
    problem: /HostPort must be a text with a port/,
  },
  {
    title: 'two modules on one host port',
    change: (t) => {
      t.host('redis')['PortBindings'] = { '6379/tcp': [{ HostPort: '8883' }] };
    },
    path: "PortBindings['6379/tcp']",
    problem: /host port 8883\/tcp is bound by edgeHub already/,
  },
  {
    title: 'an image in capitals',
    change: (t) => (t.module('mosquitto').settings.image = 'Eclipse/Mosquitto:2'),
    path: 'modules.mosquitto.settings.image',
    problem: /it is no reference of an image/,
  },
  {
    title: 'an image for another processor',
    change: (t) =>
      (t.module('redis-client').settings.image = 'localhost:5000/iotedge-redis-client:0.1.0-arm64v8'),
    path: `${client}.settings.image`,
    problem: /an image for arm64v8, and the manifest is for amd64/,
  },
  {
    title: 'an image of ours that nothing here builds',
    change: (t) => (t.module('redis-client').settings.image = 'localhost:5000/iotedge-redis-client:latest'),
    path: `${client}.settings.image`,
    problem: /names no platform whose image has this tag/,
  },
  {
    title: 'a desired property that the module does not know',
    change: (t) => (t.twin('redis-client')['endpoit'] = 'redis:6379'),
    path: "redis-client['properties.desired'].endpoit",
    problem: /endpoint/,
  },
  {
    title: 'a desired property that the module would refuse',
    change: (t) => (t.twin('redis-client')['endpoint'] = 'http://redis'),
    path: "redis-client['properties.desired'].endpoint",
    problem: /redis:\/\//,
  },
  {
    title: 'a setting of the environment that the module would refuse',
    change: (t) => (t.module('redis-sync').env['BATCH_ROWS'] = { value: 0 }),
    path: 'modules.redis-sync.env.BATCH_ROWS',
    problem: /1/,
  },
  {
    title: 'a variable that no setting has, in createOptions',
    change: (t) => (t.module('redis-client').settings.createOptions['Env'] = ['REDIS_USERNMAE=x']),
    path: 'createOptions.Env REDIS_USERNMAE',
    problem: /no setting of this name; did you mean REDIS_USERNAME\?/,
  },
  {
    title: 'settings that only together are wrong',
    change: (t) => (t.twin('stream-to-mqtt')['claimIdleMs'] = 10_000),
    path: "stream-to-mqtt['properties.desired'].claimIdleMs",
    problem: /more than twice MQTT_PUBLISH_TIMEOUT_MS/,
  },
  {
    title: 'a string longer than a twin holds',
    change: (t) => (t.module('redis').env['LONG'] = { value: 'x'.repeat(4097) }),
    path: "$edgeAgent['properties.desired']",
    problem: /LONG\.value" is longer than 4096 bytes/,
  },
  {
    title: 'a twin that is too large',
    change: (t) => {
      t.all['other'] = {
        'properties.desired': Object.fromEntries(
          Array.from({ length: 9 }, (_, index) => [`p${index}`, 'x'.repeat(4000)]),
        ),
      };
    },
    path: "other['properties.desired']",
    problem: /bytes; 32768 is the limit/,
  },
  {
    title: 'a twin that is nested too deep',
    change: (t) => (t.all['other'] = { 'properties.desired': deep(12) }),
    path: "other['properties.desired']",
    problem: /nested deeper than 10 levels/,
  },
  {
    title: 'a number that a twin does not hold',
    change: (t) => (t.all['other'] = { 'properties.desired': { n: 2 ** 53 } }),
    path: "other['properties.desired']",
    problem: /is outside/,
  },
  {
    title: 'RD-15: requirepass in clear text',
    change: (t) =>
      (t.module('redis').settings.createOptions['Cmd'] = ['redis-server', '--requirepass hunter2']),
    path: 'createOptions.Cmd[1]',
    problem: /a password of Redis is in clear text/,
  },
  {
    title: 'RD-14: a password in the environment',
    change: (t) => (t.module('redis-client').env['REDIS_PASSWORD'] = { value: 'hunter2' }),
    path: `${client}.env.REDIS_PASSWORD`,
    problem: /REDIS_PASSWORD is in clear text/,
  },
  {
    title: 'RD-14: a SAS in a twin',
    change: (t) => (t.twin('redis-sync')['blobSasToken'] = 'sv=2024-11-04&sp=r&sig=abc%3D'),
    path: "redis-sync['properties.desired'].blobSasToken",
    problem: /in clear text/,
  },
  {
    title: 'RD-14: a key of a storage account',
    change: (t) =>
      (t.module('mosquitto').settings.createOptions['Env'] = ['STORAGE=AccountName=a;AccountKey=abc==']),
    path: 'createOptions.Env[0]',
    problem: /a key or signature of Azure is in clear text/,
  },
  {
    title: 'RD-14: a password in an address',
    change: (t) => (t.twin('redis-client')['endpoint'] = 'redis://default:hunter2@redis:6379'),
    path: "redis-client['properties.desired'].endpoint",
    problem: /a password in an address is in clear text/,
  },
  {
    title: 'RD-4: a maxmemory above half of the container',
    change: (t) => (t.host('redis')['Memory'] = 200 * 1024 * 1024),
    path: 'modules.redis.settings.createOptions.Cmd',
    problem: /half of HostConfig\.Memory at most/,
  },
  {
    title: 'RD-25: a heap that does not fit into the container',
    change: (t) => (t.host('redis-client')['Memory'] = 64 * 1024 * 1024),
    path: `${client}.env.NODE_OPTIONS`,
    problem: /60 % of HostConfig\.Memory/,
  },
  ...['--max_old_space_size=500', '--max-old-space-size 500', '--max-old-space-size-percentage=95'].map(
    (options) => ({
      title: `RD-25: the same in another spelling: ${options}`,
      change: (t: Template) => (t.module('redis-client').env['NODE_OPTIONS'] = { value: options }),
      path: `${client}.env.NODE_OPTIONS`,
      problem: /60 % of HostConfig\.Memory/,
    }),
  ),
  {
    title: 'RD-25: a heap that the command of the container asks for',
    change: (t) =>
      (t.module('redis-client').settings.createOptions['Cmd'] = [
        'node',
        '--max-old-space-size=500',
        'main.js',
      ]),
    path: `${client}.settings.createOptions.Cmd`,
    problem: /60 % of HostConfig\.Memory/,
  },
  {
    title: 'RD-4: a maxmemory in the other spelling',
    change: (t) => (t.module('redis').settings.createOptions['Cmd'] = ['redis-server', '--maxmemory=250mb']),
    path: 'modules.redis.settings.createOptions.Cmd',
    problem: /half of HostConfig\.Memory at most/,
  },
  {
    title: 'a setting of an image that is named by its digest',
    change: (t) => {
      t.module('redis-client').settings.image =
        `localhost:5000/iotedge-redis-client@sha256:${'0'.repeat(64)}`;
      t.twin('redis-client')['endpoit'] = 'redis:6379';
    },
    path: "redis-client['properties.desired'].endpoit",
    problem: /endpoint/,
  },
  {
    title: 'a restart policy that edgeAgent does not know',
    change: (t) => (t.module('redis')['restartPolicy'] = 'sometimes'),
    path: 'modules.redis.restartPolicy',
    problem: /never, on-failure, on-unhealthy, always/,
  },
  {
    title: 'no restart policy, which the published schema demands',
    change: (t) => delete t.module('redis')['restartPolicy'],
    path: 'modules.redis.restartPolicy',
    problem: /it is missing/,
  },
  {
    title: 'an address without TLS of a Redis that speaks it alone',
    change: (t) => changeCommand(t, '[ on = on ]'),
    path: "kafka-ingest['properties.desired'].endpoint",
    problem: /redis speaks TLS alone \(REDIS_TLS=on\): set REDIS_ENDPOINT=rediss:\/\/redis:6379/,
  },
  {
    title: 'an address with TLS of a Redis that speaks none',
    change: (t) => (t.twin('redis-sync')['endpoint'] = 'rediss://redis:6379'),
    path: "redis-sync['properties.desired'].endpoint",
    problem: /redis speaks no TLS/,
  },
  {
    title: 'a switch for TLS that is neither on nor off',
    change: (t) => changeCommand(t, '[ yes = on ]'),
    path: 'modules.redis.settings.createOptions.Cmd',
    problem: /REDIS_TLS must be on or off/,
  },
  {
    title: 'a startup order that is no whole number',
    change: (t) => (t.module('redis')['startupOrder'] = -1),
    path: 'modules.redis.startupOrder',
    problem: /whole number from 0/,
  },
];

for (const { title, change, path, problem } of manifests) {
  test(`RD-17: says where and why: ${title}`, async (t) => {
    const root = projectWith(t, change);
    const { findings } = await generateManifest({ root, platform: 'amd64', env: {} });
    const found = findings.filter((one) => one.path.endsWith(path) && problem.test(one.problem));
    assert.equal(found.length, 1, JSON.stringify(findings, null, 1));
    assert.doesNotMatch(JSON.stringify(findings), /hunter2/);
  });
}

test('RD-17: a module that is told of a Redis which --modules leaves out is named, with what to do', async (t) => {
  const root = projectWith(t, () => undefined);
  const { findings } = await generateManifest({
    root,
    platform: 'amd64',
    env: {},
    modules: ['redis-client'],
  });
  assert.deepEqual(
    findings.map(({ path, problem }) => [path, problem]),
    [
      [
        "$.modulesContent.redis-client['properties.desired'].endpoint",
        'it names the module redis, which --modules leaves out: add that one, or set REDIS_ENDPOINT to a Redis of your own.',
      ],
    ],
  );
  const env = { REDIS_ENDPOINT: 'redis.plant.example:6379' };
  const withOwn = projectWith(t, (template) => {
    const { env: variables } = template.module('redis-client');
    delete variables['REDIS_USERNAME'];
    delete variables['REDIS_PASSWORD_FILE'];
    delete template.host('redis-client')['Mounts'];
  });
  const own = await generateManifest({ root: withOwn, platform: 'amd64', env, modules: ['redis-client'] });
  assert.deepEqual(own.findings, []);
});

for (const tag of ['', ':0.1.0-amd64']) {
  test(`RD-17: an image of ours may be named by its digest${tag === '' ? ' alone' : ' and its tag'}`, async (t) => {
    const root = projectWith(t, (template) => {
      template.module('redis-client').settings.image =
        `localhost:5000/iotedge-redis-client${tag}@sha256:${'0'.repeat(64)}`;
    });
    const { findings } = await generateManifest({ root, platform: 'amd64', env: {} });
    assert.deepEqual(findings, []);
  });
}

test('RD-17: a variable of module.json that is missing is told once a module, and nothing else with it', async (t) => {
  const root = projectWith(t, () => undefined);
  const envPath = join(root, 'empty.env');
  writeFileSync(
    envPath,
    readFileSync(join(root, '.env'), 'utf8').replace(/^CONTAINER_REGISTRY_SERVER=.*$/m, ''),
  );
  const { findings } = await generateManifest({ root, platform: 'amd64', env: {}, envPath });
  const modules = findings.filter(({ problem }) => problem.includes('${CONTAINER_REGISTRY_SERVER}'));
  assert.equal(modules.length, 5);
  assert(
    findings.every(({ problem }) => !problem.includes('there is no module')),
    JSON.stringify(findings),
  );
});
