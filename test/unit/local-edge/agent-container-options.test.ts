import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readContainerOptions } from '../../../local-edge/src/agent/container-options.ts';
import type { ContainerOptions } from '../../../local-edge/src/agent/container-options.ts';

function read(options: Record<string, unknown>): ContainerOptions {
  const result = readContainerOptions(options);
  assert(!('refused' in result), JSON.stringify(result));
  return result;
}

test('reads what means something for a process', () => {
  const options = read({
    Env: ['A=1', 'B=x=y', 'EMPTY='],
    Cmd: ['redis-server', '--port', '1'],
    Entrypoint: 'tini',
    WorkingDir: '/data',
    StopSignal: 'INT',
    StopTimeout: 3,
    Volumes: { '/cache': {} },
    ExposedPorts: { '9600/tcp': {} },
    HostConfig: {
      Binds: ['/host:/in', 'named:/data:ro'],
      Mounts: [
        { Type: 'volume', Source: 'v', Target: '/v' },
        { Type: 'bind', Source: '/b', Target: '/bind' },
        { Type: 'tmpfs', Target: '/t' },
        { Type: 'volume', Target: '/anonymous' },
      ],
      Tmpfs: { '/run': '' },
      PortBindings: {
        '9600/tcp': [{ HostIp: '0.0.0.0', HostPort: '19600' }],
        '80': [{ HostPort: '8080' }],
        '7/tcp': [{}],
      },
    },
  });
  assert.deepEqual(options.env, { A: '1', B: 'x=y', EMPTY: '' });
  assert.deepEqual(options.cmd, ['redis-server', '--port', '1']);
  assert.deepEqual(options.entrypoint, ['tini']);
  assert.equal(options.workingDir, '/data');
  assert.equal(options.stopSignal, 'SIGINT');
  assert.equal(options.stopTimeoutMs, 3000);
  assert.deepEqual(
    options.mounts.map(({ kind, source, target }) => `${kind} ${source} ${target}`),
    [
      'private /cache /cache',
      'bind /host /in',
      'volume named /data',
      'volume v /v',
      'bind /b /bind',
      'tmpfs /t /t',
      'private /anonymous /anonymous',
      'tmpfs /run /run',
    ],
  );
  assert.deepEqual(
    [...options.hostPorts],
    [
      [9600, 19600],
      [80, 8080],
    ].sort((a, b) => Number(a[0]) - Number(b[0])),
  );
  assert.deepEqual(options.without, []);
});

test('has the defaults of Docker', () => {
  const options = read({});
  assert.equal(options.stopSignal, 'SIGTERM');
  assert.equal(options.stopTimeoutMs, 10_000);
  assert.equal(options.cmd, null);
  assert.equal(options.healthcheck, null);
});

test('reads a health check in nanoseconds, with the defaults of Docker', () => {
  assert.deepEqual(
    read({ Healthcheck: { Test: ['CMD', 'a', 'b'], Interval: 1e9, StartPeriod: 2e9 } }).healthcheck,
    {
      shell: false,
      command: ['a', 'b'],
      intervalMs: 1000,
      timeoutMs: 30_000,
      retries: 3,
      startPeriodMs: 2000,
    },
  );
  assert.equal(read({ Healthcheck: { Test: ['CMD-SHELL', 'exit 1'] } }).healthcheck?.shell, true);
  assert.equal(read({ Healthcheck: { Test: ['NONE'] } }).healthcheck, null);
  assert.equal(read({ Healthcheck: { Test: [] } }).healthcheck, null);
});

test('lists what means nothing for a process', () => {
  const { without } = read({
    User: '1000',
    Labels: { a: 'b' },
    HostConfig: {
      Memory: 1,
      CapDrop: ['ALL'],
      LogConfig: { Type: 'json-file' },
      PortBindings: { '53/udp': [{ HostPort: '53' }] },
    },
    NetworkingConfig: { EndpointsConfig: {} },
  });
  assert.deepEqual([...without].sort(), [
    'HostConfig.CapDrop',
    'HostConfig.LogConfig',
    'HostConfig.Memory',
    'HostConfig.PortBindings 53/udp',
    'Labels',
    'NetworkingConfig',
    'User',
  ]);
});

test('passes over what is empty', () => {
  assert.deepEqual(
    read({ Whatever: null, User: '', HostConfig: { Devices: [], Links: null, Privileged: false } }).without,
    [],
  );
});

const refused: readonly (readonly [Record<string, unknown>, RegExp])[] = [
  [{ Command: ['a'] }, /^Command is not known$/],
  [{ HostConfig: { NetworkMode: 'host' } }, /NetworkMode/],
  [{ HostConfig: { Devices: [{}] } }, /HostConfig\.Devices is not emulated/],
  [{ HostConfig: { ExtraHosts: ['a:1'] } }, /HostConfig\.ExtraHosts/],
  [{ hostConfig: { Memory: 1 } }, /hostConfig is not known/],
  [{ Cmd: 7 }, /Cmd is not a list/],
  [{ Healthcheck: { Test: ['EXEC', 'a'] } }, /Healthcheck\.Test/],
  [{ StopSignal: 'SIGWINCH' }, /StopSignal/],
  [{ HostConfig: { Binds: ['/only'] } }, /Binds/],
  [{ HostConfig: { Mounts: [{ Type: 'npipe', Target: '/x' }] } }, /Mounts/],
];
for (const [options, reason] of refused) {
  test(`refuses ${JSON.stringify(options)} by name`, () => {
    const result = readContainerOptions(options);
    assert('refused' in result);
    assert.match(result.refused.join('; '), reason);
  });
}

test('accepts the networks that IoT Edge itself uses', () => {
  for (const NetworkMode of ['azure-iot-edge', 'bridge', 'default', ''])
    read({ HostConfig: { NetworkMode } });
});
