import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateManifest } from '../../../build/manifest/generate.ts';
import { projectWith } from '../../helpers/broken-project.ts';
import type { Template } from '../../helpers/broken-project.ts';

type Options = Record<string, unknown>;
/** Puts options beside those of mosquitto. */
const options =
  (given: Options): ((t: Template) => void) =>
  (t) =>
    Object.assign(t.module('mosquitto').settings.createOptions, given);
const host =
  (given: Options): ((t: Template) => void) =>
  (t) =>
    Object.assign(t.host('mosquitto'), given);
const mount = (given: Options): Options => ({ Type: 'volume', Source: 'data', Target: '/data', ...given });
const bound = (given: Options): Options => ({
  PortBindings: { '1883/tcp': [{ HostPort: '1883', ...given }] },
});

const broken: readonly (readonly [
  title: string,
  change: (t: Template) => void,
  path: string,
  problem: RegExp,
])[] = [
  ['a text as Env', options({ Env: 'A=b' }), 'Env', /a list of texts/],
  ['a text as Binds', host({ Binds: 'data:/data' }), 'HostConfig.Binds', /a list of texts/],
  ['a text as test', options({ Healthcheck: { Test: 'sh x' } }), 'Healthcheck.Test', /a list of texts/],
  [
    'a text as interval',
    options({ Healthcheck: { Interval: '10s' } }),
    'Healthcheck.Interval',
    /a whole number/,
  ],
  [
    'a misspelt key of a health check',
    options({ Healthcheck: { Intervall: 1e9 } }),
    'Healthcheck.Intervall',
    /no such option; did you mean Interval\?/,
  ],
  ['limits as texts', host({ Ulimits: ['nofile=1'] }), 'HostConfig.Ulimits[0]', /it must be an object/],
  ['devices as texts', host({ Devices: ['/dev/x'] }), 'HostConfig.Devices[0]', /it must be an object/],
  [
    'a number in the settings of logs',
    host({ LogConfig: { Type: 'json-file', Config: { 'max-file': 3 } } }),
    'HostConfig.LogConfig.Config',
    /an object of texts/,
  ],
  [
    'networks as a list',
    options({ NetworkingConfig: { EndpointsConfig: [] } }),
    'NetworkingConfig.EndpointsConfig',
    /an object of objects/,
  ],
  [
    'a policy of restarts that is none',
    host({ RestartPolicy: { Name: 'allways' } }),
    'HostConfig.RestartPolicy.Name',
    /one of no, always/,
  ],
  [
    'a driver of logs that is none',
    host({ LogConfig: { Type: 'jsonfile' } }),
    'HostConfig.LogConfig.Type',
    /no such driver of logs; did you mean json-file\?/,
  ],
  ['a capability that is none', host({ CapAdd: ['NET_ADMN'] }), 'HostConfig.CapAdd[0]', /mean NET_ADMIN\?/],
  [
    'an option of security that is none',
    host({ SecurityOpt: ['no-new-privilege'] }),
    'HostConfig.SecurityOpt[0]',
    /it must be no-new-privileges/,
  ],
  [
    'a mode that is none',
    host({ Binds: ['a0:/data:readonly'] }),
    'HostConfig.Binds[0]',
    /with a mode such as/,
  ],
  ['two modes', host({ Binds: ['a0:/data:ro:rw'] }), 'HostConfig.Binds[0]', /with a mode such as/],
  [
    'two modes that exclude each other',
    host({ Binds: ['a0:/data:ro,rw'] }),
    'HostConfig.Binds[0]',
    /with a mode/,
  ],
  ['a mount on the root', host({ Binds: ['a0:/'] }), 'HostConfig.Binds[0]', /must not be the root/],
  [
    'one target with and without a slash',
    host({ Binds: ['a0:/data/'], Mounts: [mount({})] }),
    'HostConfig.Binds[0]',
    /\/data is the target of two mounts/,
  ],
  [
    'a tmpfs on the target of a mount',
    host({ Mounts: [mount({})], Tmpfs: { '/data': '' } }),
    "HostConfig.Tmpfs['/data']",
    /is the target of two mounts/,
  ],
  ['a tmpfs without a path', host({ Tmpfs: { tmp: '' } }), "HostConfig.Tmpfs['tmp']", /an absolute path/],
  [
    'a misspelt key of a mount',
    host({ Mounts: [mount({ Readonly: true })] }),
    'HostConfig.Mounts[0].Readonly',
    /no such option; did you mean ReadOnly\?/,
  ],
  [
    'a mount without a target',
    host({ Mounts: [mount({ Target: undefined })] }),
    'Mounts[0].Target',
    /absolute path/,
  ],
  [
    'an address of the host that is none',
    host(bound({ HostIp: '300.1.1.1' })),
    "PortBindings['1883/tcp']",
    /HostIp must be an address/,
  ],
  [
    'a misspelt key of a port',
    host(bound({ HostIP: '127.0.0.1' })),
    "PortBindings['1883/tcp']",
    /did you mean HostIp\?/,
  ],
  [
    'a port of the host in another spelling',
    host(bound({ HostPort: '0443' })),
    "PortBindings['1883/tcp']",
    /443\/tcp is bound by edgeHub already/,
  ],
  ['a variable without a name', options({ Env: ['=x'] }), 'Env[0]', /has a name before the =/],
];

for (const [title, change, path, problem] of broken) {
  test(`RD-17: what Docker refuses or ignores is told with its place: ${title}`, async (t) => {
    const root = projectWith(t, change);
    const { findings } = await generateManifest({ root, platform: 'amd64', env: {} });
    const [found] = findings;
    assert(found !== undefined && findings.length === 1, JSON.stringify(findings, null, 1));
    assert(found.path.endsWith(path), found.path);
    assert.match(found.problem, problem);
  });
}

const right: readonly (readonly [title: string, change: (t: Template) => void])[] = [
  ['a command as one text', options({ Cmd: 'mosquitto' })],
  ['a capability with its prefix', host({ CapAdd: ['CAP_NET_ADMIN'] })],
  ['a profile of seccomp', host({ SecurityOpt: ['no-new-privileges:true', 'seccomp=unconfined'] })],
  ['several modes of a bind', host({ Binds: ['/etc/x:/x:ro,Z'] })],
  ['a driver of logs of another maker', host({ LogConfig: { Type: 'grafana/loki-docker-driver:latest' } })],
  ['a port of one address', host(bound({ HostIp: '127.0.0.1' }))],
  [
    'a device and a limit',
    host({ Devices: [{ PathOnHost: '/dev/x' }], Ulimits: [{ Name: 'nofile', Soft: 1, Hard: 2 }] }),
  ],
  [
    'a network and ports that are offered',
    options({ ExposedPorts: { '1883/tcp': {} }, NetworkingConfig: { EndpointsConfig: { host: {} } } }),
  ],
  ['null, which stands for the default', host({ Memory: null, Mounts: null })],
];

for (const [title, change] of right) {
  test(`RD-17: what Docker takes passes: ${title}`, async (t) => {
    const root = projectWith(t, change);
    const { findings } = await generateManifest({ root, platform: 'amd64', env: {} });
    assert.deepEqual(findings, []);
  });
}
