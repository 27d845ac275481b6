import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { once } from 'node:events';
import { chmod, mkdtemp, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { createWebSocketStream, WebSocketServer } from 'ws';
import type { BridgeSettings } from '../../modules/stream-to-mqtt/src/settings.ts';
import { eventually, leftOf, pendingOf, redisClient, startBridge, subscribe } from '../helpers/bridge.ts';
import type { Subscriber, TestBridge } from '../helpers/bridge.ts';
import { startMosquitto } from '../helpers/mosquitto.ts';
import type { MosquittoOptions, TestMosquitto } from '../helpers/mosquitto.ts';
import { startRedis } from '../helpers/redis.ts';

interface Bed {
  readonly redis: Redis;
  readonly port: number;
  readonly broker: TestMosquitto;
  readonly subscriber: Subscriber;
  readonly bridge: (settings?: Partial<BridgeSettings>, instance?: string) => Promise<TestBridge>;
}

async function bed(t: TestContext, options: MosquittoOptions = {}): Promise<Bed> {
  const [server, broker] = await Promise.all([startRedis(t), startMosquitto(t, options)]);
  return {
    redis: redisClient(t, server.port),
    port: server.port,
    broker,
    subscriber: await subscribe(t, broker.url),
    bridge: (settings = {}, instance = 'stream-to-mqtt') =>
      startBridge(
        t,
        {
          redisHost: '127.0.0.1',
          redisPort: server.port,
          mqttBrokerHost: '127.0.0.1',
          mqttBrokerPort: broker.port,
          ...settings,
        },
        { instance },
      ),
  };
}

function numbers(subscriber: Subscriber, topic: string): number[] {
  return subscriber.messages
    .filter((message) => message.topic === topic)
    .map(({ text }) => Number((JSON.parse(text) as { data: { n: string } }).data.n));
}

async function add(redis: Redis, stream: string, count: number, from = 1): Promise<void> {
  const pipeline = redis.pipeline();
  for (let n = from; n < from + count; n += 1) pipeline.xadd(stream, '*', 'n', String(n));
  await pipeline.exec();
}

const range = (count: number): number[] => Array.from({ length: count }, (_, n) => n + 1);

test('SM-17, SM-20, SM-21, SM-25: entries of a discovered stream arrive as the seed shapes them and are acknowledged', async (t) => {
  const { redis, subscriber, bridge } = await bed(t);
  await redis.xadd('device:sensor:data', '1651234567890-0', 'field1', 'value1', 'field3', '123');
  await bridge();
  const [message] = await subscriber.until(1);
  equal(message?.topic, 'redis/device/sensor/data');
  deepEqual(JSON.parse(message.text), {
    stream: 'device:sensor:data',
    id: '1651234567890-0',
    data: { field1: 'value1', field3: '123' },
    timestamp: '2022-04-29T12:16:07.890Z',
  });
  equal(message.properties['contentType'], 'application/json');
  deepEqual(
    { ...(message.properties['userProperties'] as object) },
    { stream: 'device:sensor:data', 'stream-id': '1651234567890-0' },
  );
  await eventually(
    () => leftOf(redis, 'device:sensor:data'),
    (left) => left === 0,
  );
});

test('SM-27: new streams are picked up while running, others left alone, vanished ones dropped', async (t) => {
  const { redis, subscriber, bridge } = await bed(t);
  const { bridge: component } = await bridge({ include: ['device:*'], exclude: ['*:debug'] });
  await add(redis, 'device:a', 3);
  await add(redis, 'device:debug', 3);
  await add(redis, 'other', 3);
  await redis.set('device:string', 'x');
  await subscriber.until(3);
  await add(redis, 'device:b', 3);
  await subscriber.until(6);
  deepEqual(component.streams.map(({ name }) => name).sort(), ['device:a', 'device:b']);
  await redis.del('device:a');
  await eventually(
    () => component.streams.length,
    (count) => count === 1,
  );
  deepEqual(
    [...new Set(subscriber.messages.map(({ topic }) => topic))]
      .filter((topic) => !topic.endsWith('status'))
      .sort(),
    ['redis/device/a', 'redis/device/b'],
  );
});

test('SM-16, SM-18: one name in two databases is two streams with two topics', async (t) => {
  const { redis, port, subscriber, bridge } = await bed(t);
  const second = redisClient(t, port, 3);
  await bridge({ redisDbs: [0, 3] });
  await add(redis, 'same', 2);
  await add(redis, 'only:here', 1);
  await add(second, 'same', 2);
  await eventually(
    () => subscriber.messages.length,
    (count) => count >= 5,
  );
  await add(redis, 'same', 1, 3);
  await add(second, 'same', 1, 3);
  await eventually(
    () => subscriber.messages.filter(({ topic }) => /redis\/[03]\/same/.test(topic)).length,
    (count) => count >= 2,
  );
  await eventually(
    async () => Math.max(await leftOf(redis, 'same'), await leftOf(second, 'same')),
    (left) => left === 0,
  );
  await subscriber.until(1, ({ topic }) => topic === 'redis/only/here');
});

test('SM-7, SM-8, SM-9: own pending entries come first, then what another consumer abandoned behind many fresh ones; trimmed ones are counted', async (t) => {
  const { redis, subscriber, bridge } = await bed(t);
  await redis.xgroup('CREATE', 's', 'mqtt-group', '0', 'MKSTREAM');
  await add(redis, 's', 1500);
  await redis.xreadgroup('GROUP', 'mqtt-group', 'mqtt-sync', 'COUNT', 5, 'STREAMS', 's', '>');
  // 1,200 fresh entries of a living consumer stand before 50 of a dead one: more than ten times COUNT.
  await redis.xreadgroup('GROUP', 'mqtt-group', 'living', 'COUNT', 1200, 'STREAMS', 's', '>');
  const dead = (await redis.xreadgroup('GROUP', 'mqtt-group', 'dead', 'COUNT', 50, 'STREAMS', 's', '>')) as [
    string,
    [string, string[]][],
  ][];
  const deadIds = dead[0]?.[1].map(([id]) => id) ?? [];
  await redis.xdel('s', deadIds[0] ?? '');
  const keepAlive = setInterval(
    () => void redis.xautoclaim('s', 'mqtt-group', 'living', 0, '0', 'COUNT', 1, 'JUSTID'),
    100,
  );
  t.after(() => clearInterval(keepAlive));
  const living = await redis.xpending('s', 'mqtt-group', '-', '+', 1200, 'living');
  const fresh = (living as [string][]).map(([id]) => id);
  const refresh = setInterval(
    () => void redis.xclaim('s', 'mqtt-group', 'living', 0, ...fresh, 'JUSTID'),
    150,
  );
  t.after(() => clearInterval(refresh));
  clearInterval(keepAlive);
  const { status } = await bridge({
    redisStreams: ['s'],
    autoDiscovery: false,
    claimIdleMs: 900,
    mqttPublishTimeoutMs: 300,
  });
  await subscriber.until(5 + 245 + 49, () => true, 20_000);
  await sleep(300);
  const seen = numbers(subscriber, 'redis/s');
  deepEqual(seen.slice(0, 5), [1, 2, 3, 4, 5]);
  deepEqual(
    seen.filter((n) => n > 5 && n <= 1205),
    [],
    'nothing of the living consumer',
  );
  deepEqual(
    seen.filter((n) => n > 1205 && n <= 1255),
    Array.from({ length: 49 }, (_, n) => n + 1207),
  );
  deepEqual(
    seen.filter((n) => n > 1255),
    Array.from({ length: 245 }, (_, n) => n + 1256),
  );
  const figures = await status('s');
  equal(figures['trimmed'], 1);
  equal(figures['redelivered'], 54);
});

test('SM-8: what this bridge holds during an outage of the broker is claimed by nobody', async (t) => {
  const { redis, broker, subscriber, bridge } = await bed(t);
  await bridge({
    redisStreams: ['s'],
    autoDiscovery: false,
    claimIdleMs: 900,
    mqttPublishTimeoutMs: 300,
    mqttWindow: 10,
    batchSize: 10,
  });
  await add(redis, 's', 5);
  await subscriber.until(5);
  await broker.kill('SIGSTOP');
  await add(redis, 's', 20, 6);
  await eventually(
    () => pendingOf(redis, 's'),
    (pending) => pending > 0,
  );
  for (let n = 0; n < 10; n += 1) {
    await sleep(200);
    const [, entries] = (await redis.xautoclaim(
      's',
      'mqtt-group',
      'thief',
      900,
      '0-0',
      'COUNT',
      1000,
      'JUSTID',
    )) as [string, string[]];
    deepEqual(entries, []);
  }
  await broker.kill('SIGCONT');
  await eventually(
    () => leftOf(redis, 's'),
    (left) => left === 0,
  );
  deepEqual([...new Set(numbers(subscriber, 'redis/s'))], range(25));
});

test('SM-15: a group that is destroyed and a stream that is deleted are found again', async (t) => {
  const { redis, subscriber, bridge } = await bed(t);
  const { status } = await bridge({ redisStreams: ['s', 'quiet'], autoDiscovery: false });
  await add(redis, 's', 3);
  await subscriber.until(3);
  await eventually(
    () => leftOf(redis, 's'),
    (left) => left === 0,
  );
  await redis.xgroup('DESTROY', 's', 'mqtt-group');
  await add(redis, 's', 2, 4);
  await eventually(
    () => new Set(numbers(subscriber, 'redis/s')).size,
    (count) => count === 5,
  );
  await redis.del('s');
  await sleep(500);
  await add(redis, 's', 2, 6);
  await eventually(
    () => new Set(numbers(subscriber, 'redis/s')).size,
    (count) => count === 7,
  );
  await eventually(
    () => leftOf(redis, 's'),
    (left) => left === 0,
  );
  equal((await status('s'))['groupsRecreated'], 2);
});

test('SM-34: what every group has acknowledged is trimmed, and nothing that another still needs', async (t) => {
  const { redis, subscriber, bridge } = await bed(t);
  await add(redis, 's', 500);
  await redis.xgroup('CREATE', 's', 'slow', '0');
  await redis.xreadgroup('GROUP', 'slow', 'c', 'COUNT', 100, 'STREAMS', 's', '>');
  const slow = (await redis.xrange('s', '-', '+', 'COUNT', 100)).map(([id]) => id);
  await redis.xack('s', 'slow', ...slow.slice(0, 40));
  await bridge({
    redisStreams: ['s'],
    autoDiscovery: false,
    trim: 'acknowledged',
    housekeepingIntervalMs: 200,
  });
  await subscriber.until(500);
  await eventually(
    () => redis.xlen('s'),
    (length) => length < 500,
  );
  await sleep(500);
  equal(await redis.xlen('s'), 460, 'the 41st entry is pending in the slow group');
  await redis.xack('s', 'slow', ...slow);
  await eventually(
    () => redis.xlen('s'),
    (length) => length === 400,
  );
});

test('SM-42: dropOldest keeps a backlog in its bounds and counts exactly; block keeps everything and says so', async (t) => {
  const { redis, broker, subscriber, bridge } = await bed(t);
  const common = {
    autoDiscovery: false,
    housekeepingIntervalMs: 200,
    maxBacklog: 100,
    mqttWindow: 10,
    batchSize: 10,
  };
  const dropping = await bridge({
    ...common,
    redisStreams: ['drop'],
    maxBacklogPolicy: 'dropOldest',
    group: 'a',
    mqttClientId: 'a',
  });
  await eventually(() => dropping.bridge.isConnected, Boolean);
  await broker.kill('SIGSTOP');
  await add(redis, 'drop', 1000);
  const dropped = Number(
    (
      await eventually(
        () => dropping.status('drop'),
        (figures) => Number(figures['dropped']) > 0,
      )
    )['dropped'],
  );
  equal(await redis.xlen('drop'), 100);
  await broker.kill('SIGCONT');
  await eventually(
    () => leftOf(redis, 'drop', 'a'),
    (left) => left === 0,
  );
  const unique = new Set(numbers(subscriber, 'redis/drop'));
  equal(unique.size + dropped, 1000, 'published and dropped make all');
  ok(unique.has(1000) && dropped >= 850);

  const blocking = await bridge({
    ...common,
    redisStreams: ['block'],
    group: 'b',
    mqttClientId: 'b',
    paused: true,
  });
  await add(redis, 'block', 500);
  await blocking.status('block');
  equal(await redis.xlen('block'), 500);
  blocking.bridge.applyLive({ ...blocking.bridge.settings, paused: false });
  await eventually(
    () => leftOf(redis, 'block', 'b'),
    (left) => left === 0,
  );
  deepEqual(numbers(subscriber, 'redis/block'), range(500));
});

test('SM-26: what the filter holds back is acknowledged and counted', async (t) => {
  const { redis, subscriber, bridge } = await bed(t);
  for (const type of ['alert', 'info', 'warning', 'debug', 'alert'])
    await redis.xadd('s', '*', 'type', type, 'n', '1');
  const { status, metrics } = await bridge({ filterField: 'type', filterValues: ['alert', 'warning'] });
  await subscriber.until(3);
  await eventually(
    () => leftOf(redis, 's'),
    (left) => left === 0,
  );
  equal(subscriber.messages.filter(({ topic }) => topic === 'redis/s').length, 3);
  equal((await status('s'))['filtered'], 2);
  match(metrics(), /test_entries_filtered_total 2\n/);
});

test('SM-19: streams with +, #, $, NUL and broken surrogates in their names arrive', async (t) => {
  const { redis, subscriber, bridge } = await bed(t);
  await bridge();
  const names = [
    Buffer.from('a+b'),
    Buffer.from('c#'),
    Buffer.from('$x'),
    Buffer.from('n\0l'),
    Buffer.from([0x73, 0xed, 0xa0, 0x80]),
    Buffer.from('\u0001\uffff'),
  ];
  for (const name of names) await redis.xadd(name, '*', 'n', '1');
  await subscriber.until(names.length);
  deepEqual(
    subscriber.messages
      .map(({ topic }) => topic)
      .filter((topic) => !topic.endsWith('status'))
      .sort(),
    ['redis/$x', 'redis/%01%EF%BF%BF', 'redis/a%2Bb', 'redis/c%23', 'redis/n%00l', 'redis/s%ED%A0%80'],
  );
});

test('status topic: online while it runs, offline after an ordinary stop, and as the will after a kill', async (t) => {
  const { broker, bridge } = await bed(t);
  const first = await bridge({ mqttQos: 1 });
  const watcher = await subscribe(t, broker.url, 'redis/status');
  await eventually(
    () => watcher.messages.at(-1)?.text,
    (text) => text === 'online',
  );
  await first.stop();
  await eventually(
    () => watcher.messages.at(-1)?.text,
    (text) => text === 'offline',
  );
  const late = await subscribe(t, broker.url, 'redis/status');
  await eventually(
    () => late.messages[0],
    (message) => message?.retain === true && message.text === 'offline',
  );
});

test('QoS 2 and retained messages', async (t) => {
  const { redis, broker, subscriber, bridge } = await bed(t);
  await bridge({ mqttQos: 2, mqttRetain: true });
  await add(redis, 's', 500);
  await subscriber.until(500);
  deepEqual(numbers(subscriber, 'redis/s'), range(500));
  equal(subscriber.messages.find(({ topic }) => topic === 'redis/s')?.qos, 2);
  await eventually(
    () => leftOf(redis, 's'),
    (left) => left === 0,
  );
  const late = await subscribe(t, broker.url, 'redis/s');
  const [retained] = await late.until(1);
  equal(retained?.retain, true);
  match(retained.text, /"n":"500"/);
});

test('SM-13, SM-40: of two topics mosquitto denies one: its entry becomes a dead letter, the other arrives', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'acl-'));
  // mosquitto gives up root and must still be able to read it.
  await chmod(dir, 0o755);
  await writeFile(join(dir, 'acl'), 'topic readwrite redis/allowed/#\ntopic readwrite redis/status\n', {
    mode: 0o644,
  });
  const server = await startRedis(t);
  const broker = await startMosquitto(t, { config: [`acl_file ${join(dir, 'acl')}`] });
  const redis = redisClient(t, server.port);
  await redis.xadd('allowed:a', '*', 'n', '1');
  await redis.xadd('denied', '*', 'n', '2');
  const settings = {
    redisHost: '127.0.0.1',
    redisPort: server.port,
    mqttBrokerHost: '127.0.0.1',
    mqttBrokerPort: broker.port,
  };
  await startBridge(t, settings);
  await eventually(
    () => leftOf(redis, 'allowed:a'),
    (left) => left === 0,
  );
  // SM-40: under MQTT 5 mosquitto says that it refused.
  await eventually(
    () => redis.xlen('dlq:denied'),
    (length) => length === 1,
  );
});

/** What a reverse proxy in front of a broker does: WebSocket frames in, bytes out. */
async function webSocketProxy(t: TestContext, port: number): Promise<string> {
  const proxy = new WebSocketServer({ host: '127.0.0.1', port: 0, handleProtocols: () => 'mqtt' });
  proxy.on('connection', (socket) => {
    const outside = createWebSocketStream(socket);
    const inside = connect(port, '127.0.0.1');
    for (const stream of [outside, inside]) {
      stream.on('error', () => undefined);
      stream.on('close', () => [outside, inside].forEach((each) => each.destroy()));
    }
    outside.pipe(inside).pipe(outside);
  });
  await once(proxy, 'listening');
  t.after(() => {
    for (const client of proxy.clients) client.terminate();
    proxy.close();
  });
  const address = proxy.address();
  return `ws://127.0.0.1:${address !== null && typeof address === 'object' ? address.port : 0}/mqtt`;
}

test('a WebSocket address, and several addresses of which the first is dead', async (t) => {
  const { redis, broker, subscriber, bridge } = await bed(t);
  const url = await webSocketProxy(t, broker.port);
  const { bridge: component } = await bridge({ mqttBrokers: ['mqtt://127.0.0.1:9', url] });
  await add(redis, 's', 300);
  await subscriber.until(300);
  deepEqual(numbers(subscriber, 'redis/s'), range(300));
  equal(component.health().data?.['sink'], url);
});

test('BridgeStatus pages, and figures are in metrics and reported properties', async (t) => {
  const { redis, subscriber, bridge } = await bed(t);
  for (let n = 0; n < 5; n += 1) await add(redis, `s:${n}`, 2);
  const { call, metrics, reports } = await bridge({ housekeepingIntervalMs: 100 });
  await subscriber.until(10);
  const first = (await call('BridgeStatus', { limit: 3 })).payload as {
    streams: unknown[];
    continuation: string;
  };
  equal(first.streams.length, 3);
  const second = (await call('BridgeStatus', { limit: 3, continuation: first.continuation })).payload as {
    streams: unknown[];
  };
  equal(second.streams.length, 2);
  equal((await call('BridgeStatus', { stream: 'none' })).status, 404);
  await eventually(metrics, (text) => text.includes('test_entries_published_total 10\n'));
  match(metrics(), /test_stream_lag\{stream="s:0",db="0"\} 0\n/);
  // Every ten rounds of housekeeping, since each report is a message of the hub's quota.
  await eventually(
    () => JSON.stringify(reports.at(-1)),
    (text) => text.includes('"streams":5,"lag":0,"pending":0') && text.includes('"published":10'),
  );
});

test('SM-33: idle consumers that hold nothing are removed from the group', async (t) => {
  const { redis, subscriber, bridge } = await bed(t);
  await redis.xgroup('CREATE', 's', 'mqtt-group', '0', 'MKSTREAM');
  await add(redis, 's', 1);
  await redis.xgroup('CREATECONSUMER', 's', 'mqtt-group', 'gone');
  await redis.xreadgroup('GROUP', 'mqtt-group', 'holds', 'COUNT', 1, 'STREAMS', 's', '>');
  await bridge({ consumerExpiryMs: 300, housekeepingIntervalMs: 150, claimIdleMs: 60_000 });
  await add(redis, 's', 1, 2);
  await subscriber.until(1);
  const names = async (): Promise<string[]> =>
    ((await redis.xinfo('CONSUMERS', 's', 'mqtt-group')) as string[][]).map((info) => info[1] ?? '').sort();
  await eventually(names, (found) => found.length === 2);
  deepEqual(await names(), ['holds', 'mqtt-sync']);
});

test('SM-31, SM-32: two instances share a group under names of their own; with one active only, the other takes over in order', async (t) => {
  const { redis, subscriber, bridge } = await bed(t);
  const settings = { redisStreams: ['s'], autoDiscovery: false, singleActive: true };
  const one = await bridge(settings, 'pod-1');
  await eventually(() => one.bridge.isConnected, Boolean);
  await bridge(settings, 'pod-2');
  await add(redis, 's', 300);
  await subscriber.until(300);
  const consumers = (await redis.xinfo('CONSUMERS', 's', 'mqtt-group')) as string[][];
  deepEqual(
    consumers.map((info) => info[1]),
    ['mqtt-sync-pod-1'],
  );
  await one.stop();
  await add(redis, 's', 300, 301);
  await subscriber.until(600);
  deepEqual(numbers(subscriber, 'redis/s'), range(600));
  await eventually(
    () => leftOf(redis, 's'),
    (left) => left === 0,
  );
});

test('sink = edgehub: several entries per message, at a bounded rate, again after a failure, in order', async (t) => {
  const { redis, bridge } = await bed(t);
  const test = await bridge({
    sink: 'edgehub',
    edgehubIntervalMs: 100,
    edgehubMaxEntries: 50,
    mqttPublishTimeoutMs: 500,
  });
  let failures = 2;
  test.failSend = () => (failures-- > 0 ? new Error('edgeHub is away') : undefined);
  await add(redis, 's', 300);
  await eventually(
    () => leftOf(redis, 's'),
    (left) => left === 0,
  );
  const entries = test.sent.flatMap(({ data }) => JSON.parse(data.toString()) as { data: { n: string } }[]);
  deepEqual(
    entries.map(({ data }) => Number(data.n)),
    range(300),
  );
  ok(test.sent.length >= 6 && test.sent.length <= 9, `${test.sent.length} messages`);
  equal(test.sent[0]?.contentType, 'application/json');
});
