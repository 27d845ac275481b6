import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Redis } from 'ioredis';
import type { LocalEdge } from '../../local-edge/src/runtime.ts';
import { runCommand } from '../../local-edge/src/services/command.ts';
import { startRedis } from '../helpers/redis.ts';
import { eventually, logOf, makeSite } from '../helpers/site.ts';

const idle = 'setInterval(() => {}, 1000);';

/** Asks a Redis of the deployment, as a program outside the module network does. */
function ask(edge: LocalEdge, name: string, ...command: [string, ...string[]]): Promise<unknown> {
  return askAt({ port: edge.table.find(name, 6379) ?? 0 }, ...command);
}

async function askAt(
  options: { port: number; password?: string; db?: number },
  ...command: [string, ...string[]]
): Promise<unknown> {
  const redis = new Redis({ host: '127.0.0.1', ...options, lazyConnect: true, retryStrategy: () => null });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    return await redis.call(...command);
  } finally {
    redis.disconnect();
  }
}

const ready = (edge: LocalEdge, name: string) =>
  eventually(
    () => ask(edge, name, 'PING').catch(() => null),
    (reply) => reply === 'PONG',
  );
const statusOf = (edge: LocalEdge, name: string) => edge.agent.list().find((one) => one.name === name);

const pinger = (host: string) => `import net from 'node:net';
  const ask = () => { const s = net.connect(6379, '${host}', () => s.write('PING\\r\\n'));
    s.on('data', (d) => { console.log('${host}', d.toString().trim()); s.destroy(); }).on('error', () => setTimeout(ask, 20)); };
  ask(); ${idle}`;

test('runs two images of Redis on the same standard port, each reached by its name', async (t) => {
  const site = makeSite(t, {
    redis: { image: 'redis:8.2-alpine', startupOrder: 0 },
    cache: { image: 'docker.io/library/redis:7', startupOrder: 0 },
    one: { source: pinger('redis') },
    two: { source: pinger('cache') },
  });
  const edge = await site.start();
  await eventually(
    () => logOf(edge, 'one'),
    (lines) => lines.includes('redis +PONG'),
  );
  await eventually(
    () => logOf(edge, 'two'),
    (lines) => lines.includes('cache +PONG'),
  );
  assert.notEqual(edge.table.find('redis', 6379), edge.table.find('cache', 6379));
  assert(site.said.some((line) => /redis:8\.2-alpine runs as (redis|valkey)-server \d/.test(line)));
});

test('honours Cmd as the entry point of the image does, and keeps data in the volume', async (t) => {
  const createOptions = {
    Cmd: ['--appendonly', 'yes', '--maxmemory-policy', 'noeviction'],
    HostConfig: { Binds: ['data:/data'] },
  };
  const site = makeSite(t, { redis: { image: 'redis:8', createOptions } });
  const edge = await site.start();
  await ready(edge, 'redis');
  assert.deepEqual(await ask(edge, 'redis', 'CONFIG', 'GET', 'dir'), [
    'dir',
    join(site.stateDir, 'volumes/data'),
  ]);
  assert.deepEqual(await ask(edge, 'redis', 'CONFIG', 'GET', 'maxmemory-policy'), [
    'maxmemory-policy',
    'noeviction',
  ]);
  await ask(edge, 'redis', 'SET', 'k', 'v');
  const port = edge.table.find('redis', 6379);
  await edge.agent.restart('redis');
  await ready(edge, 'redis');
  assert.equal(edge.table.find('redis', 6379), port);
  assert.equal(await ask(edge, 'redis', 'GET', 'k'), 'v');
});

test('runs a shell as Cmd: server, client, paths of the container, names of the network', async (t) => {
  const script = [
    'redis-server --port 7000 --dir /data --save "" &',
    'until redis-cli -p 7000 ping; do sleep 0.05; done',
    'redis-cli -p 7000 set from shell',
    'until redis-cli -h other ping; do sleep 0.05; done',
    'redis-cli -h other -n 1 set from neighbour',
    'echo written > /data/file; wait',
  ].join('\n');
  const site = makeSite(t, {
    redis: {
      image: 'redis:8',
      createOptions: { Cmd: ['sh', '-c', script], HostConfig: { Binds: ['data:/data'] } },
    },
    other: { image: 'redis:8' },
  });
  const edge = await site.start();
  await eventually(
    () => logOf(edge, 'redis'),
    (lines) => lines.filter((line) => line.trim() === 'OK').length === 2,
  );
  const port = edge.table.find('redis', 7000) ?? 0;
  assert.equal(await askAt({ port }, 'GET', 'from'), 'shell');
  assert.deepEqual(await askAt({ port }, 'CONFIG', 'GET', 'dir'), [
    'dir',
    join(site.stateDir, 'volumes/data'),
  ]);
  const other = { port: edge.table.find('other', 6379) ?? 0, db: 1 };
  assert.equal(await askAt(other, 'GET', 'from'), 'neighbour');
});

test('reads a configuration file that is bound into the container', async (t) => {
  const site = makeSite(t, {});
  const file = join(site.dir, 'redis.conf');
  writeFileSync(file, 'port 7001\nrequirepass hush\n');
  site.deploy({
    redis: {
      image: 'redis:8',
      createOptions: { Cmd: ['/etc/redis.conf'], HostConfig: { Binds: [`${file}:/etc/redis.conf:ro`] } },
    },
  });
  const edge = await site.start();
  const options = { port: edge.table.find('redis', 7001) ?? 0, password: 'hush' };
  await eventually(
    () => askAt(options, 'PING').catch(() => null),
    (reply) => reply === 'PONG',
  );
});

test('finds a Redis unhealthy that hangs, by redis-cli, and restarts it', async (t) => {
  const site = makeSite(t, {
    redis: {
      image: 'redis:8',
      restartPolicy: 'on-unhealthy',
      createOptions: {
        StopTimeout: 1,
        Healthcheck: {
          Test: ['CMD-SHELL', 'redis-cli ping | grep -q PONG'],
          Interval: 50e6,
          Timeout: 300e6,
          Retries: 2,
        },
      },
    },
  });
  const edge = await site.start({ restartTimes: { backoffUnitMs: 20, reconcileMs: 20 } });
  await ready(edge, 'redis');
  await new Promise((resolve) => setTimeout(resolve, 500));
  const before = statusOf(edge, 'redis');
  assert.deepEqual([before?.status, before?.restartCount], ['running', 0]);
  process.kill(before?.pid ?? 0, 'SIGSTOP');
  await eventually(
    () => statusOf(edge, 'redis'),
    (one) => one?.status === 'running' && one.restartCount === 1,
    20_000,
  );
  await ready(edge, 'redis');
});

test('uses the server whose address is in the environment, and starts none', async (t) => {
  const server = await startRedis(t);
  const site = makeSite(t, {
    redis: { image: 'redis:8', createOptions: { Cmd: ['redis-server'] } },
    one: { source: pinger('redis') },
  });
  const edge = await site.start({ env: { ...process.env, EDGE_REDIS_ADDRESS: `127.0.0.1:${server.port}` } });
  await eventually(
    () => logOf(edge, 'one'),
    (lines) => lines.includes('redis +PONG'),
  );
  const status = statusOf(edge, 'redis');
  assert.deepEqual([status?.status, status?.pid], ['running', null]);
  assert.match(status?.description ?? '', new RegExp(`127.0.0.1:${server.port}`));
  assert(site.said.some((line) => line.includes('EDGE_REDIS_ADDRESS names a server that runs already')));
});

test('runs the image of mosquitto with its configuration on a loopback port', async (t) => {
  const site = makeSite(t, {});
  mkdirSync(join(site.dir, 'config'));
  writeFileSync(
    join(site.dir, 'config/mosquitto.conf'),
    'listener 1883\nallow_anonymous true\npersistence true\npersistence_location /mosquitto/data/\n',
  );
  const client = `import net from 'node:net';
    const connect = Buffer.from([0x10, 0x0d, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 60, 0, 1, 0x61]);
    const ask = () => { const s = net.connect(1883, 'broker', () => s.write(connect));
      s.on('data', (d) => console.log('connack', d[3])).on('error', () => setTimeout(ask, 20)); };
    ask(); ${idle}`;
  site.deploy({
    broker: {
      image: 'eclipse-mosquitto:2',
      createOptions: {
        HostConfig: { Binds: [`${site.dir}/config:/mosquitto/config`, 'broker:/mosquitto/data'] },
      },
    },
    one: { source: client },
  });
  const edge = await site.start();
  await eventually(
    () => logOf(edge, 'one'),
    (lines) => lines.includes('connack 0'),
  );
});

test('stands in for redis-cli where a server came without it', async (t) => {
  const server = await startRedis(t, { args: ['--requirepass', 'hush'] });
  const cli = async (...args: string[]) => {
    const script = join(import.meta.dirname, '../../local-edge/src/agent/redis-cli.js');
    const { code, stdout, stderr } = await runCommand(process.execPath, [
      script,
      '-p',
      String(server.port),
      ...args,
    ]);
    return `${code ?? ''} ${stdout}${stderr}`.trim();
  };
  const cases: readonly (readonly [string[], string | RegExp])[] = [
    [['-a', 'hush', 'ping'], '0 PONG'],
    [['ping'], '0 NOAUTH Authentication required.'],
    [['-a', 'hush', 'set', 'k', 'größer 😀'], '0 OK'],
    [['--no-auth-warning', '--pass', 'hush', 'get', 'k'], '0 größer 😀'],
    [['-a', 'hush', '-n', '1', 'get', 'k'], '0'],
    [['-a', 'hush', 'config', 'get', 'appendonly'], '0 appendonly\nno'],
    [['-a', 'hush', 'dbsize'], '0 1'],
    [['--bigkeys'], /^1 --bigkeys needs the real redis-cli/],
    [['-p', '1', 'ping'], /^1 Could not connect to Redis at 127\.0\.0\.1:1: /],
  ];
  for (const [args, expected] of cases) {
    const output = await cli(...args);
    if (typeof expected === 'string') assert.equal(output, expected);
    else assert.match(output, expected);
  }
});
