import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { BridgeSettings } from '../../modules/stream-to-mqtt/src/settings.ts';
import { eventually, leftOf, redisClient, startBridge } from '../helpers/bridge.ts';
import type { TestBridge } from '../helpers/bridge.ts';
import { startRedis } from '../helpers/redis.ts';
import type { TestRedis } from '../helpers/redis.ts';
import { startScriptedBroker } from '../helpers/scripted-broker.ts';
import type { ScriptedBroker } from '../helpers/scripted-broker.ts';

interface Bed {
  readonly server: TestRedis;
  readonly redis: Redis;
  readonly broker: ScriptedBroker;
  readonly bridge: (settings: Partial<BridgeSettings>) => Promise<TestBridge>;
}

async function bed(t: TestContext): Promise<Bed> {
  const [server, broker] = await Promise.all([startRedis(t), startScriptedBroker(t)]);
  return {
    server,
    broker,
    redis: redisClient(t, server.port),
    bridge: (settings) =>
      startBridge(t, {
        redisHost: '127.0.0.1',
        redisPort: server.port,
        mqttBrokerHost: '127.0.0.1',
        mqttBrokerPort: broker.port,
        ...settings,
      }),
  };
}

/** Calls of the commands that are operations on data; looks, heartbeats and what the test itself does are none. */
async function operations(redis: Redis): Promise<number> {
  const stats = await redis.info('commandstats');
  const counted = [
    'xreadgroup',
    'xack',
    'xgroup\\|create',
    'xautoclaim',
    'xclaim',
    'scan',
    'xinfo\\|groups',
    'xlen',
  ];
  return counted.reduce((sum, name) => {
    const calls = new RegExp(`^cmdstat_${name}:calls=(\\d+)`, 'm').exec(stats)?.[1];
    return sum + Number(calls ?? 0);
  }, 0);
}

test("REDIS_RATE_LIMIT bounds Redis operations per second, the seed's meaning, and not the entries that one brings", async (t) => {
  const { redis, broker, bridge } = await bed(t);
  const streams = Array.from({ length: 40 }, (_, n) => `s:${n}`);
  for (const stream of streams)
    for (let n = 1; n <= 25; n += 1) await redis.xadd(stream, '*', 'n', String(n));
  await redis.call('CONFIG', ['RESETSTAT']);
  const startedAt = performance.now();
  await bridge({
    redisRateLimit: 20,
    redisStreams: streams,
    autoDiscovery: false,
    housekeepingIntervalMs: 300,
  });
  await sleep(4000);
  const seconds = (performance.now() - startedAt) / 1000;
  const count = await operations(redis);
  // A bucket begins full, and the housekeeping's look takes three commands in one transaction.
  ok(count <= 20 * (seconds + 1) + 60, `${count} operations in ${seconds.toFixed(1)} s at 20 per second`);
  ok(count >= 40, `it works meanwhile: ${count} operations`);
  await eventually(
    () => broker.publishes.length,
    (published) => published === 1000,
    30_000,
  );
});

test('SM-28: a database has one connection for reads that block and one for everything else', async (t) => {
  const { redis, bridge } = await bed(t);
  for (let n = 0; n < 50; n += 1) await redis.xadd(`s:${n}`, '*', 'n', '1');
  await bridge({ redisDbs: [0, 3] });
  await eventually(
    () => leftOf(redis, 's:49'),
    (left) => left === 0,
  );
  const clients = String(await redis.call('CLIENT', ['LIST'])).split('\n');
  const own = clients.filter((line) => line.includes('name=stream-to-mqtt '));
  equal(own.length, 4);
  deepEqual(own.map((line) => /db=(\d+)/.exec(line)?.[1]).sort(), ['0', '0', '3', '3']);
});

test('SM-30, SM-39: a cap on bytes holds over all streams, and what waits for it waits in Redis', async (t) => {
  const { redis, broker, bridge } = await bed(t);
  for (const stream of ['a', 'b'])
    for (let n = 1; n <= 200; n += 1) await redis.xadd(stream, '*', 'pad', 'x'.repeat(400));
  const startedAt = performance.now();
  const { bridge: component } = await bridge({ maxBytesPerSecond: 20_000, batchSize: 5 });
  await sleep(3000);
  const seconds = (performance.now() - startedAt) / 1000;
  const bytes = broker.publishes.reduce((sum, { payload, topic }) => sum + payload.length + topic.length, 0);
  // The burst of one second, and one read beyond the cap whose size was not known before.
  ok(bytes <= 20_000 * (seconds + 1) + 2 * 5 * 600, `${bytes} bytes in ${seconds.toFixed(1)} s`);
  ok(bytes >= 20_000 * (seconds - 1), `${bytes} bytes in ${seconds.toFixed(1)} s`);
  ok(component.inFlight <= 10);
  const waiting = (await leftOf(redis, 'a')) + (await leftOf(redis, 'b'));
  ok(waiting > 200, `${waiting} entries wait in Redis`);
});

test('SM-5: nothing is read, queued or sent while no broker is there, and each entry goes once when it is', async (t) => {
  const { redis, broker, bridge } = await bed(t);
  const { bridge: component, call } = await bridge({ redisStreams: ['s'] });
  await eventually(() => component.isConnected, Boolean);
  broker.answersConnect = false;
  broker.closeAll();
  await eventually(
    () => component.isConnected,
    (is) => !is,
  );
  for (let n = 1; n <= 100; n += 1) await redis.xadd('s', '*', 'n', String(n));
  await sleep(500);
  match(JSON.stringify(await call('BridgeStatus')), /"inHand":0/);
  broker.answersConnect = true;
  await eventually(
    () => leftOf(redis, 's'),
    (left) => left === 0,
  );
  equal(broker.publishes.length, 100);
});

test('REDIS_MAX_RETRIES bounds one operation: with none, an outage of Redis still never ends the bridge', async (t) => {
  const { server, redis, broker, bridge } = await bed(t);
  const { bridge: component } = await bridge({
    redisStreams: ['s'],
    redisMaxRetries: 0,
    redisCommandTimeoutMs: 300,
  });
  await redis.xadd('s', '*', 'n', '1');
  await eventually(
    () => broker.publishes.length,
    (count) => count === 1,
  );
  await server.kill('SIGSTOP');
  await sleep(2000);
  equal(component.health().state, 'down');
  await server.kill('SIGCONT');
  await redis.xadd('s', '*', 'n', '2');
  await eventually(
    () => broker.publishes.length,
    (count) => count === 2,
  );
  await eventually(
    () => component.health().state,
    (state) => state === 'ok',
  );
});
