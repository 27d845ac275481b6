import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasVersion } from '@iotedge-redis/common';
import type { Redis } from 'ioredis';
import type { BridgeSettings } from '../../modules/stream-to-mqtt/src/settings.ts';
import { eventually, leftOf, pendingOf, redisClient, startBridge, subscribe } from '../helpers/bridge.ts';
import type { Subscriber, TestBridge } from '../helpers/bridge.ts';
import { arrived } from '../helpers/ledger.ts';
import { startMosquitto } from '../helpers/mosquitto.ts';
import type { TestMosquitto } from '../helpers/mosquitto.ts';
import { findNewestRedis } from '../helpers/newest-redis.ts';
import { startRedis } from '../helpers/redis.ts';

interface Bed {
  readonly redis: Redis;
  readonly broker: TestMosquitto;
  readonly subscriber: Subscriber;
  /** Whether the server is a Redis of at least this version. */
  readonly can: (major: number, minor: number) => boolean;
  readonly bridge: (settings: Partial<BridgeSettings>) => Promise<TestBridge>;
  /** Calls of a command since the server was started. */
  readonly calls: (command: string) => Promise<number>;
}

async function bed(t: TestContext): Promise<Bed> {
  const program = await findNewestRedis();
  const [server, broker] = await Promise.all([startRedis(t, { program }), startMosquitto(t)]);
  const redis = redisClient(t, server.port);
  const info = await redis.info('server');
  const version = /^redis_version:(\S+)/m.exec(info)?.[1] ?? '';
  const isValkey = info.includes('valkey_version');
  console.log(`server: ${isValkey ? 'Valkey' : 'Redis'} ${version}`);
  return {
    redis,
    broker,
    subscriber: await subscribe(t, broker.url),
    can: (major, minor) => !isValkey && hasVersion({ version }, major, minor),
    bridge: (settings) =>
      startBridge(t, {
        redisHost: '127.0.0.1',
        redisPort: server.port,
        mqttBrokerHost: '127.0.0.1',
        mqttBrokerPort: broker.port,
        mqttPublishTimeoutMs: 300,
        claimIdleMs: 700,
        ...settings,
      }),
    async calls(command) {
      const stats = await redis.info('commandstats');
      return Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, 'm').exec(stats)?.[1] ?? 0);
    },
  };
}

async function add(redis: Redis, stream: string, count: number, from = 1): Promise<void> {
  for (let n = from; n < from + count; n += 1) await redis.xadd(stream, '*', 'n', String(n));
}

test('SM-10: where reading can claim, abandoned entries come with the new ones, in order, and nobody sweeps', async (t) => {
  const { redis, subscriber, can, bridge, calls } = await bed(t);
  await redis.xgroup('CREATE', 's', 'mqtt-group', '0', 'MKSTREAM');
  await add(redis, 's', 40);
  await redis.xreadgroup('GROUP', 'mqtt-group', 'dead', 'COUNT', 30, 'STREAMS', 's', '>');
  const { status } = await bridge({ payloadExtras: ['deliveryCount'], housekeepingIntervalMs: 100 });
  await subscriber.until(40);
  deepEqual(
    arrived(subscriber, 's').filter((n) => n <= 30),
    Array.from({ length: 30 }, (_, n) => n + 1),
  );
  await eventually(
    () => leftOf(redis, 's'),
    (left) => left === 0,
  );
  equal((await status('s'))['redelivered'], 30, 'only what was read before counts as redelivered');
  const counts = subscriber.messages
    .filter(({ topic }) => topic === 'redis/s')
    .map(({ text }) => (JSON.parse(text) as { deliveryCount: number }).deliveryCount);
  deepEqual([counts.filter((n) => n === 1).length, counts.filter((n) => n === 2).length], [10, 30]);
  const before = await calls('xautoclaim');
  await sleep(2500);
  const sweeps = (await calls('xautoclaim')) - before;
  if (can(8, 4)) equal(sweeps, 0, 'a group without pending entries is not swept');
  else ok(sweeps > 0, 'without CLAIM the group is swept');
});

test('SM-9, SM-10: what was removed from its stream while another consumer held it leaves the group on any server', async (t) => {
  const { redis, bridge } = await bed(t);
  await redis.xgroup('CREATE', 's', 'mqtt-group', '0', 'MKSTREAM');
  await add(redis, 's', 10);
  await redis.xreadgroup('GROUP', 'mqtt-group', 'dead', 'COUNT', 10, 'STREAMS', 's', '>');
  await redis.xtrim('s', 'MAXLEN', 4);
  const { status } = await bridge({ housekeepingIntervalMs: 100 });
  await eventually(
    () => pendingOf(redis, 's'),
    (pending) => pending === 0,
  );
  equal((await status('s'))['trimmed'], 6);
  equal((await status('s'))['published'], 4);
});

test('SM-8, SM-10: after an outage of the broker longer than the time to claim, nothing in hand is read a second time', async (t) => {
  const { redis, broker, subscriber, bridge } = await bed(t);
  await redis.xgroup('CREATE', 's', 'mqtt-group', '0', 'MKSTREAM');
  const { bridge: component, status } = await bridge({ redisStreams: ['s'], mqttConnectTimeoutMs: 300 });
  await eventually(() => component.isConnected, Boolean);
  await broker.kill('SIGSTOP');
  await add(redis, 's', 20);
  await eventually(
    () => pendingOf(redis, 's'),
    (pending) => pending === 20,
  );
  await sleep(2500);
  await add(redis, 's', 20, 21);
  await broker.kill('SIGCONT');
  await eventually(
    () => leftOf(redis, 's'),
    (left) => left === 0,
  );
  const seen = [...new Set(arrived(subscriber, 's'))];
  deepEqual(
    seen,
    Array.from({ length: 40 }, (_, n) => n + 1),
  );
  const { read, redelivered } = await status('s');
  deepEqual({ read, redelivered }, { read: 40, redelivered: 0 });
});

test('SM-34: with STREAM_TRIM an entry goes with its last acknowledgement, and stays while another group needs it', async (t) => {
  const { redis, subscriber, can, bridge, calls } = await bed(t);
  await redis.xgroup('CREATE', 'shared', 'other', '0', 'MKSTREAM');
  await add(redis, 'shared', 10);
  await add(redis, 'own', 10);
  await bridge({ trim: 'acknowledged', housekeepingIntervalMs: can(8, 2) ? 60_000 : 200 });
  await subscriber.until(20);
  await eventually(
    () => redis.xlen('own'),
    (length) => length === 0,
  );
  await eventually(
    () => leftOf(redis, 'shared'),
    (left) => left === 0,
  );
  equal(await redis.xlen('shared'), 10, 'the other group has not read anything');
  equal((await calls('xackdel')) > 0, can(8, 2));
});

test('SM-34: an ACL written for an older server costs nothing but the earlier removal', async (t) => {
  const { redis, subscriber, bridge } = await bed(t);
  await redis.call('ACL', ['SETUSER', 'bridge', 'on', '>secret', '~*', '+@all']);
  await redis.call('ACL', ['SETUSER', 'bridge', '-xackdel']).catch(() => undefined);
  await add(redis, 's', 10);
  await bridge({
    redisUsername: 'bridge',
    redisPassword: 'secret',
    trim: 'acknowledged',
    housekeepingIntervalMs: 200,
  });
  await subscriber.until(10);
  await eventually(
    () => redis.xlen('s'),
    (length) => length === 0,
  );
  equal(await pendingOf(redis, 's'), 0);
});
