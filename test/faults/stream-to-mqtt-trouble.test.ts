import { deepEqual, equal, ok } from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Aedes } from 'aedes';
import { eventually, leftOf, pendingOf, redisClient, startBridge, subscribe } from '../helpers/bridge.ts';
import { arrived, checkArrivals, printedSeed, rounds, seeded, startProducer } from '../helpers/ledger.ts';
import { startMosquitto } from '../helpers/mosquitto.ts';
import { freePort, startRedis } from '../helpers/redis.ts';
import { startScriptedBroker } from '../helpers/scripted-broker.ts';
import { startSentinel } from '../helpers/sentinel.ts';

/** Passes bytes on, and cuts connections after a number of them: in the middle of a packet, nearly always. */
async function startCutter(t: TestContext, port: number) {
  const sockets = new Set<Socket>();
  let left = Infinity;
  const server = createServer((outside) => {
    const inside = connect(port, '127.0.0.1');
    for (const [one, other] of [
      [outside, inside],
      [inside, outside],
    ] as const) {
      sockets.add(one);
      one.on('error', () => undefined);
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
    inside.pipe(outside);
    outside.on('data', (data: Buffer) => {
      const part = data.subarray(0, Math.max(0, left));
      left -= data.length;
      inside.write(part);
      if (left > 0) return;
      left = Infinity;
      outside.destroy();
      inside.end();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address();
  return {
    port: address !== null && typeof address === 'object' ? address.port : 0,
    cutAfter: (bytes: number): void => void (left = bytes),
  };
}

test('connections that are cut in the middle of a packet lose nothing and keep the order', async (t) => {
  const random = seeded(printedSeed('cuts'));
  const [server, broker] = await Promise.all([
    startRedis(t),
    startMosquitto(t, { config: ['max_queued_messages 0'] }),
  ]);
  const cutter = await startCutter(t, broker.port);
  const redis = redisClient(t, server.port);
  const subscriber = await subscribe(t, broker.url);
  const { bridge } = await startBridge(t, {
    redisHost: '127.0.0.1',
    redisPort: server.port,
    mqttBrokerHost: '127.0.0.1',
    mqttBrokerPort: cutter.port,
    redisStreams: ['a', 'b'],
    autoDiscovery: false,
  });
  await eventually(() => bridge.isConnected, Boolean);
  const producer = startProducer(redis, ['a', 'b']);
  const cuts = Math.max(5, Math.min(rounds, 30));
  for (let round = 0; round < cuts; round += 1) {
    cutter.cutAfter(Math.floor(random() * 20_000));
    await sleep(50 + random() * 150);
  }
  await producer.stop();
  cutter.cutAfter(Infinity);
  await eventually(
    async () => Math.max(await leftOf(redis, 'a'), await leftOf(redis, 'b')),
    (left) => left === 0,
    30_000,
  );
  await sleep(300);
  checkArrivals(subscriber, producer.counts, cuts);
});

test('a broker that accepts connections and says nothing is given up again and again until it speaks', async (t) => {
  const server = await startRedis(t);
  const broker = await startScriptedBroker(t);
  broker.answersConnect = false;
  const redis = redisClient(t, server.port);
  for (let n = 1; n <= 50; n += 1) await redis.xadd('s', '*', 'n', String(n));
  const { bridge } = await startBridge(t, {
    redisHost: '127.0.0.1',
    redisPort: server.port,
    mqttBrokerHost: '127.0.0.1',
    mqttBrokerPort: broker.port,
    redisStreams: ['s'],
    mqttConnectTimeoutMs: 200,
  });
  await eventually(
    () => broker.connections,
    (count) => count >= 3,
  );
  equal(bridge.health().state, 'degraded');
  equal(await leftOf(redis, 's'), -1, 'nothing is read while nothing can be sent');
  broker.answersConnect = true;
  await eventually(
    () => leftOf(redis, 's'),
    (left) => left === 0,
  );
  equal(broker.publishes.length, 50);
});

test('a broker that is stopped within the keep-alive is noticed by it when nothing is in flight', async (t) => {
  const [server, broker] = await Promise.all([startRedis(t), startMosquitto(t)]);
  const { bridge } = await startBridge(t, {
    redisHost: '127.0.0.1',
    redisPort: server.port,
    mqttBrokerHost: '127.0.0.1',
    mqttBrokerPort: broker.port,
    redisStreams: ['s'],
    mqttKeepaliveSeconds: 1,
    mqttConnectTimeoutMs: 500,
  });
  await eventually(() => bridge.isConnected, Boolean);
  await broker.kill('SIGSTOP');
  await eventually(
    () => bridge.isConnected,
    (is) => !is,
    5000,
  );
  await broker.kill('SIGCONT');
  await eventually(() => bridge.isConnected, Boolean);
});

test('SM-15: Redis restarts without its data: groups are made anew, what was in hand still arrives', async (t) => {
  const [server, broker] = await Promise.all([startRedis(t), startMosquitto(t)]);
  const redis = redisClient(t, server.port);
  const subscriber = await subscribe(t, broker.url);
  const { status } = await startBridge(t, {
    redisHost: '127.0.0.1',
    redisPort: server.port,
    mqttBrokerHost: '127.0.0.1',
    mqttBrokerPort: broker.port,
    redisStreams: ['a', 'b'],
    autoDiscovery: false,
  });
  const add = async (from: number, to: number): Promise<void> => {
    for (let n = from; n <= to; n += 1)
      for (const stream of ['a', 'b']) await redis.xadd(stream, '*', 'n', String(n));
  };
  await add(1, 20);
  await eventually(
    async () => Math.max(await leftOf(redis, 'a'), await leftOf(redis, 'b')),
    (left) => left === 0,
  );
  await broker.kill('SIGSTOP');
  await add(21, 25);
  await eventually(
    () => pendingOf(redis, 'a'),
    (pending) => pending === 5,
  );
  await server.kill('SIGKILL');
  await server.restart();
  await broker.kill('SIGCONT');
  await eventually(
    async (): Promise<string> => redis.ping(),
    (pong) => pong === 'PONG',
  );
  await add(26, 40);
  await eventually(
    () => new Set(arrived(subscriber, 'a')).size,
    (count) => count === 40,
  );
  await eventually(
    () => new Set(arrived(subscriber, 'b')).size,
    (count) => count === 40,
  );
  deepEqual(
    [...new Set(arrived(subscriber, 'a'))],
    Array.from({ length: 40 }, (_, n) => n + 1),
  );
  await eventually(
    async () => Math.max(await leftOf(redis, 'a'), await leftOf(redis, 'b')),
    (left) => left === 0,
  );
  equal((await status('a'))['groupsRecreated'], 1);
});

test('SM-9: entries that are trimmed while they are pending are counted and leave nothing pending', async (t) => {
  const [server, broker] = await Promise.all([startRedis(t), startMosquitto(t)]);
  const redis = redisClient(t, server.port);
  const subscriber = await subscribe(t, broker.url);
  await redis.xgroup('CREATE', 's', 'mqtt-group', '0', 'MKSTREAM');
  for (let n = 1; n <= 60; n += 1) await redis.xadd('s', '*', 'n', String(n));
  await redis.xreadgroup('GROUP', 'mqtt-group', 'mqtt-sync', 'COUNT', 20, 'STREAMS', 's', '>');
  await redis.xreadgroup('GROUP', 'mqtt-group', 'gone', 'COUNT', 20, 'STREAMS', 's', '>');
  const ids = (await redis.xrange('s', '-', '+')).map(([id]) => id);
  await redis.xdel('s', ...ids.slice(5, 10), ...ids.slice(25, 30));
  const { status } = await startBridge(t, {
    redisHost: '127.0.0.1',
    redisPort: server.port,
    mqttBrokerHost: '127.0.0.1',
    mqttBrokerPort: broker.port,
    redisStreams: ['s'],
    autoDiscovery: false,
    claimIdleMs: 700,
    mqttPublishTimeoutMs: 300,
  });
  await subscriber.until(50);
  await eventually(
    () => leftOf(redis, 's'),
    (left) => left === 0,
  );
  const figures = await status('s');
  equal(figures['trimmed'], 10);
  equal(new Set(arrived(subscriber, 's')).size, 50);
});

test('SM-32: Sentinel fails over while entries flow: every entry that survived in Redis arrives', async (t) => {
  const primary = await startRedis(t);
  const replica = await startRedis(t, { args: ['--replicaof', '127.0.0.1', String(primary.port)] });
  const broker = await startMosquitto(t, { config: ['max_queued_messages 0'] });
  const sentinelPort = await freePort();
  await startSentinel(t, sentinelPort, primary.port);
  const subscriber = await subscribe(t, broker.url);
  await eventually(
    () => redisClient(t, replica.port).info('replication'),
    (info) => info.includes('master_link_status:up'),
  );
  const first = redisClient(t, primary.port);
  await startBridge(t, {
    redisMode: 'sentinel',
    redisSentinels: [`127.0.0.1:${sentinelPort}`],
    mqttBrokerHost: '127.0.0.1',
    mqttBrokerPort: broker.port,
    redisStreams: ['s'],
    autoDiscovery: false,
  });
  for (let n = 1; n <= 200; n += 1) await first.xadd('s', '*', 'n', String(n));
  await first.call('WAIT', 1, 1000);
  await primary.kill('SIGKILL');
  const second = redisClient(t, replica.port);
  await eventually(
    () => second.role(),
    (role) => role[0] === 'master',
    30_000,
  );
  for (let n = 201; n <= 400; n += 1) await second.xadd('s', '*', 'n', String(n));
  await eventually(
    () => leftOf(second, 's'),
    (left) => left === 0,
    30_000,
  );
  await eventually(
    () => new Set(arrived(subscriber, 's')).size,
    (count) => count === 400,
  );
  deepEqual(
    [...new Set(arrived(subscriber, 's'))],
    Array.from({ length: 400 }, (_, n) => n + 1),
  );
});

test('aedes closes the connection for a topic that it refuses: the entry becomes a dead letter, the others arrive', async (t) => {
  const server = await startRedis(t);
  const aedes = await Aedes.createBroker({
    authorizePublish: (_, packet, done) => done(packet.topic.includes('denied') ? new Error('denied') : null),
  });
  const listener = createServer((socket) => void aedes.handle(socket)).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  t.after(() => {
    listener.close();
    aedes.close();
  });
  const address = listener.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  const redis = redisClient(t, server.port);
  const subscriber = await subscribe(t, `mqtt://127.0.0.1:${port}`, 'redis/#', {
    protocolVersion: 4,
    clean: true,
  });
  for (let n = 1; n <= 20; n += 1) await redis.xadd('fine', '*', 'n', String(n));
  await redis.xadd('denied', '*', 'n', '1');
  await startBridge(t, {
    redisHost: '127.0.0.1',
    redisPort: server.port,
    mqttBrokerHost: '127.0.0.1',
    mqttBrokerPort: port,
    mqttProtocol: '3.1.1',
    maxDeliveries: 2,
    redisStreams: ['fine', 'denied'],
    autoDiscovery: false,
  });
  await eventually(
    () => redis.xlen('dlq:denied'),
    (length) => length === 1,
    20_000,
  );
  await eventually(
    () => leftOf(redis, 'fine'),
    (left) => left === 0,
  );
  deepEqual(
    [...new Set(arrived(subscriber, 'fine'))],
    Array.from({ length: 20 }, (_, n) => n + 1),
  );
  ok(await redis.exists('fine'));
});
