import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createCertificates } from '../../local-edge/src/certificates.ts';
import { eventually, leftOf, pendingOf, redisClient, startBridge, subscribe } from '../helpers/bridge.ts';
import { startMosquitto } from '../helpers/mosquitto.ts';
import { findNewestRedis } from '../helpers/newest-redis.ts';
import { freePort, startRedis } from '../helpers/redis.ts';

/** The rules of the ACL user, as the module's README gives them. */
function documentedRules(): { readonly always: string[]; readonly onDemand: string[] } {
  const readme = readFileSync(new URL('../../modules/stream-to-mqtt/README.md', import.meta.url), 'utf8');
  const block = /```acl\n([^`]+)```/.exec(readme)?.[1] ?? '';
  const rules = (heading: string): string[] =>
    [...block.matchAll(new RegExp(`^${heading}: (.+)$`, 'gm'))].flatMap(([, line = '']) => line.split(' '));
  return {
    always: [...rules('commands'), ...rules('keys'), ...rules('channels')],
    onDemand: [...rules('commands from Redis 8.2'), ...rules('commands with STREAM_SINGLE_ACTIVE')],
  };
}

/** A folder that mosquitto can read after it gave up root. */
async function openFolder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'access-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  await chmod(dir, 0o755);
  return dir;
}

test('RD-22: the commands, keys and channels of the README are what the bridge needs of Redis, and all that it calls', async (t) => {
  const program = await findNewestRedis();
  const [server, broker] = await Promise.all([startRedis(t, { program }), startMosquitto(t)]);
  const redis = redisClient(t, server.port);
  const { always, onDemand } = documentedRules();
  ok(always.length > 10);
  await redis.call('ACL', ['SETUSER', 'bridge', 'on', '>secret', 'resetchannels', '-@all', ...always]);
  // A command that this server does not know cannot be allowed, and is not called.
  for (const rule of onDemand) await redis.call('ACL', ['SETUSER', 'bridge', rule]).catch(() => undefined);
  const subscriber = await subscribe(t, broker.url);
  await redis.xgroup('CREATE', 'device:a', 'mqtt-group', '0', 'MKSTREAM');
  for (let n = 1; n <= 50; n += 1) await redis.xadd('device:a', '*', 'n', String(n));
  await redis.xreadgroup('GROUP', 'mqtt-group', 'dead', 'COUNT', 10, 'STREAMS', 'device:a', '>');
  await redis.xreadgroup('GROUP', 'mqtt-group', 'mqtt-sync', 'COUNT', 10, 'STREAMS', 'device:a', '>');
  await redis.call('CONFIG', ['RESETSTAT']);
  const settings = {
    redisHost: '127.0.0.1',
    redisPort: server.port,
    redisUsername: 'bridge',
    redisPassword: 'secret',
    redisDbs: [0, 1],
    mqttBrokerHost: '127.0.0.1',
    mqttBrokerPort: broker.port,
    include: ['device:*'],
    payloadExtras: ['deliveryCount'],
    mqttTopic: '{base}/{stream}/{field:n}',
    mqttPublishTimeoutMs: 200,
    claimIdleMs: 500,
    housekeepingIntervalMs: 200,
    consumerExpiryMs: 400,
    trim: 'acknowledged',
    maxBacklog: 200,
    maxBacklogPolicy: 'dropOldest',
  } as const;
  const { call, stop } = await startBridge(t, settings);
  // Without the field of its topic an entry is a dead letter.
  await redis.xadd('device:a', '*', 'other', '1');
  await eventually(
    () => redis.xlen('dlq:device:a'),
    (length) => length === 1,
  );
  await subscriber.until(50);
  await call('BridgeStatus');
  await eventually(
    () => redis.xlen('device:a'),
    (length) => length === 0,
  );
  await call('Pause');
  const pipeline = redis.pipeline();
  for (let n = 1; n <= 500; n += 1) pipeline.xadd('device:a', '*', 'n', String(n));
  await pipeline.exec();
  await eventually(
    () => redis.xlen('device:a'),
    (length) => length === 200,
  );
  await call('Resume');
  await subscriber.until(250);
  await eventually(
    () => redis.xinfo('CONSUMERS', 'device:a', 'mqtt-group'),
    (consumers) => (consumers as unknown[]).length === 1,
  );
  await redis.del('device:a');
  await sleep(500);
  await stop();
  const active = await startBridge(t, {
    ...settings,
    singleActive: true,
    mqttTopic: '{base}/{stream}',
    redisStreams: ['device:a'],
  });
  await redis.xadd('device:b', '*', 'n', '1');
  await eventually(
    async () => JSON.stringify(await active.call('ReplayDeadLetters', { stream: 'device:a' })),
    (reply) => reply.includes('"replayed":1'),
  );
  await active.stop();
  // Where nothing else is to do, a heartbeat looks after the connection.
  const quiet = await startBridge(t, {
    ...settings,
    redisDbs: [],
    redisStreams: ['device:b'],
    autoDiscovery: false,
    housekeepingIntervalMs: 60_000,
    claimIdleMs: 60_000,
  });
  await eventually(async () => (await redis.info('commandstats')).includes('cmdstat_ping:'), Boolean);
  await quiet.stop();
  deepEqual(await redis.call('ACL', ['LOG']), [], 'nothing was refused');
  const used = new Set(
    [...(await redis.info('commandstats')).matchAll(/^cmdstat_([^:]+):/gm)].map(
      ([, name]) => `+${name ?? ''}`,
    ),
  );
  const needless = [...always, ...onDemand].filter((rule) => rule.startsWith('+') && !used.has(rule));
  // One of the two ways to claim, and one of the two to acknowledge, is enough for one server.
  deepEqual(
    needless.filter((rule) => !['+xackdel', '+xautoclaim'].includes(rule)),
    [],
    'everything that is allowed is needed',
  );
});

test('RD-22: the deployment gives the bridge every command of the README that each supported server knows', () => {
  const template = readFileSync(new URL('../../deployment.template.json', import.meta.url), 'utf8');
  const given = new Set(/"value": "(~\* [^"]*\+xreadgroup [^"]*)"/.exec(template)?.[1]?.split(' '));
  deepEqual(
    documentedRules().always.filter((rule) => rule.startsWith('+') && !given.has(rule)),
    [],
  );
});

test('a wrong password for the broker is told by name, never by value, and mended by the right one', async (t) => {
  const dir = await openFolder(t);
  const salt = randomBytes(12);
  const hash = pbkdf2Sync('right', salt, 101, 64, 'sha512');
  const line = `bridge:$7$101$${salt.toString('base64')}$${hash.toString('base64')}\n`;
  await writeFile(join(dir, 'passwords'), line, { mode: 0o644 });
  const server = await startRedis(t);
  const broker = await startMosquitto(t, {
    config: ['allow_anonymous false', `password_file ${join(dir, 'passwords')}`],
  });
  const redis = redisClient(t, server.port);
  await redis.xadd('s', '*', 'n', '1');
  const settings = {
    redisHost: '127.0.0.1',
    redisPort: server.port,
    mqttBrokerHost: '127.0.0.1',
    mqttBrokerPort: broker.port,
    mqttUsername: 'bridge',
  };
  for (const mqttProtocol of ['5', '3.1.1'] as const) {
    const wrong = await startBridge(t, { ...settings, mqttProtocol, mqttPassword: 'not-the-one' });
    const detail = await eventually(
      () => wrong.bridge.health().detail ?? '',
      (text) => /not authori[sz]ed|bad user ?name or password/i.test(text),
    );
    match(detail, /connecting to mqtt:\/\/127\.0\.0\.1:\d+/);
    equal(wrong.lines.join('').includes('not-the-one'), false, 'the password is in no line');
    equal(await leftOf(redis, 's'), -1, 'nothing is read');
    await wrong.stop();
  }
  await startBridge(t, { ...settings, mqttPassword: 'right' });
  await eventually(
    () => leftOf(redis, 's'),
    (left) => left === 0,
  );
});

test('mosquitto is reached by ws:// and, with its certificate checked, by wss://', async (t) => {
  const dir = await openFolder(t);
  await createCertificates(dir);
  const server = await startRedis(t);
  const redis = redisClient(t, server.port);
  const [plain, secure] = [await freePort(), await freePort()];
  await startMosquitto(t, {
    config: [
      `listener ${plain} 127.0.0.1`,
      'protocol websockets',
      `listener ${secure} 127.0.0.1`,
      'protocol websockets',
      `cafile ${join(dir, 'ca.pem')}`,
      `certfile ${join(dir, 'server.pem')}`,
      `keyfile ${join(dir, 'server-key.pem')}`,
    ],
  });
  const common = { redisHost: '127.0.0.1', redisPort: server.port, mqttConnectTimeoutMs: 2000 };
  const untrusting = await startBridge(t, { ...common, mqttBrokers: [`wss://localhost:${secure}/mqtt`] });
  await eventually(
    () => untrusting.bridge.health().detail ?? '',
    (detail) => detail.includes('certificate'),
  );
  await untrusting.stop();
  for (const settings of [
    { mqttBrokers: [`ws://127.0.0.1:${plain}/mqtt`] },
    { mqttBrokers: [`wss://localhost:${secure}/mqtt`], mqttCaFile: join(dir, 'ca.pem') },
  ]) {
    const pipeline = redis.pipeline();
    for (let n = 1; n <= 2000; n += 1) pipeline.xadd('s', '*', 'n', String(n), 'pad', 'x'.repeat(200));
    await pipeline.exec();
    const bridge = await startBridge(t, { ...common, ...settings });
    await eventually(
      () => leftOf(redis, 's'),
      (left) => left === 0,
    );
    equal((await bridge.status('s'))['published'], 2000);
    await bridge.stop();
  }
});

test('SM-40: under 3.1.1 mosquitto acknowledges what it throws away; under 5 the same entry is a dead letter', async (t) => {
  const dir = await openFolder(t);
  await writeFile(join(dir, 'acl'), 'topic readwrite redis/status\n', { mode: 0o644 });
  const server = await startRedis(t);
  const broker = await startMosquitto(t, { config: [`acl_file ${join(dir, 'acl')}`] });
  const redis = redisClient(t, server.port);
  const settings = {
    redisHost: '127.0.0.1',
    redisPort: server.port,
    mqttBrokerHost: '127.0.0.1',
    mqttBrokerPort: broker.port,
    redisStreams: ['denied'],
    autoDiscovery: false,
  };
  await redis.xadd('denied', '*', 'n', '1');
  const old = await startBridge(t, { ...settings, mqttProtocol: '3.1.1' });
  await eventually(
    () => leftOf(redis, 'denied'),
    (left) => left === 0,
  );
  equal((await old.status('denied'))['published'], 1, 'it counts as delivered');
  equal(await redis.exists('dlq:denied'), 0);
  await old.stop();
  await redis.xadd('denied', '*', 'n', '2');
  const current = await startBridge(t, settings);
  await eventually(
    () => redis.xlen('dlq:denied'),
    (length) => length === 1,
  );
  equal((await current.status('denied'))['published'], 0);
  equal(await pendingOf(redis, 'denied'), 0);
});
