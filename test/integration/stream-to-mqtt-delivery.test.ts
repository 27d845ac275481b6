import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { BridgeSettings } from '../../modules/stream-to-mqtt/src/settings.ts';
import { eventually, leftOf, pendingOf, redisClient, startBridge } from '../helpers/bridge.ts';
import type { TestBridge } from '../helpers/bridge.ts';
import { startRedis } from '../helpers/redis.ts';
import { startScriptedBroker } from '../helpers/scripted-broker.ts';
import type { ScriptedBroker } from '../helpers/scripted-broker.ts';

interface Bed {
  readonly redis: Redis;
  readonly broker: ScriptedBroker;
  readonly bridge: (settings?: Partial<BridgeSettings>, instance?: string) => Promise<TestBridge>;
}

async function bed(t: TestContext, connack = {}, protocolVersion: 4 | 5 = 5): Promise<Bed> {
  const server = await startRedis(t);
  const broker = await startScriptedBroker(t, { connack, protocolVersion });
  return {
    redis: redisClient(t, server.port),
    broker,
    bridge: (settings = {}, instance = 'stream-to-mqtt') =>
      startBridge(
        t,
        {
          redisHost: '127.0.0.1',
          redisPort: server.port,
          mqttBrokerHost: '127.0.0.1',
          mqttBrokerPort: broker.port,
          redisStreams: ['s'],
          autoDiscovery: false,
          ...settings,
        },
        { instance },
      ),
  };
}

async function add(redis: Redis, stream: string, count: number, from = 1): Promise<void> {
  const pipeline = redis.pipeline();
  for (let n = from; n < from + count; n += 1) pipeline.xadd(stream, `${n}-0`, 'n', String(n));
  await pipeline.exec();
}

function numbers(broker: ScriptedBroker): number[] {
  return broker.publishes.map(({ payload }) =>
    Number((JSON.parse(payload.toString()) as { data: { n: string } }).data.n),
  );
}

test('SM-1: while the PUBACK is withheld the entry stays pending in the group', async (t) => {
  const { redis, broker, bridge } = await bed(t);
  broker.answer = () => 'silence';
  await add(redis, 's', 1);
  await bridge();
  await eventually(
    () => broker.publishes.length,
    (count) => count === 1,
  );
  await sleep(300);
  equal(await pendingOf(redis, 's'), 1);
  broker.release();
  await eventually(
    () => leftOf(redis, 's'),
    (left) => left === 0,
  );
});

test('SM-3: with the first PUBACK withheld later entries go out until the window is full, never above the Receive Maximum', async (t) => {
  const { redis, broker, bridge } = await bed(t, { receiveMaximum: 20 });
  broker.answer = ({ payload }) => (payload.toString().includes('"n":"1"') ? 'silence' : 0);
  await add(redis, 's', 200);
  await bridge();
  await eventually(
    () => broker.publishes.length,
    (count) => count === 200,
  );
  equal(
    await eventually(
      () => pendingOf(redis, 's'),
      (pending) => pending === 1,
    ),
    1,
  );
  broker.release();
  await eventually(
    () => leftOf(redis, 's'),
    (left) => left === 0,
  );
  broker.answer = () => 'silence';
  await add(redis, 's', 100, 201);
  await eventually(
    () => broker.mostUnanswered,
    (count) => count >= 20,
  );
  await sleep(300);
  equal(broker.mostUnanswered, 20);
});

test('SM-6, SM-12: on a missing PUBACK the connection is made anew and everything unacknowledged goes again in order', async (t) => {
  const { redis, broker, bridge } = await bed(t);
  let isSilent = true;
  broker.answer = ({ payload }) => (isSilent && payload.toString().includes('"n":"3"') ? 'silence' : 0);
  await add(redis, 's', 6);
  await bridge({ mqttPublishTimeoutMs: 300 });
  await eventually(
    () => broker.connections,
    (count) => count >= 2,
  );
  isSilent = false;
  await eventually(
    () => leftOf(redis, 's'),
    (left) => left === 0,
  );
  const all = numbers(broker);
  deepEqual([...new Set(all)], [1, 2, 3, 4, 5, 6]);
  deepEqual(all.slice(6)[0], 3);
});

test('SM-13: a refused entry is a dead letter at once, acknowledged with it; the others arrive in order', async (t) => {
  const { redis, broker, bridge } = await bed(t);
  broker.answer = ({ payload }) => (payload.toString().includes('"n":"3"') ? 0x87 : 0);
  await add(redis, 's', 6);
  const { status } = await bridge();
  await eventually(
    () => leftOf(redis, 's'),
    (left) => left === 0,
  );
  deepEqual(numbers(broker), [1, 2, 3, 4, 5, 6]);
  const [letter] = await redis.xrange('dlq:s', '-', '+');
  deepEqual(letter?.[1].slice(0, 10), [
    'stream',
    's',
    'id',
    '3-0',
    'group',
    'mqtt-group',
    'code',
    '0x87',
    'reason',
    'the broker refused it: not authorized',
  ]);
  deepEqual(letter[1].slice(12), ['n', '3']);
  equal((await status('s'))['deadLettered'], 1);
});

test("SM-13: a packet above the broker's limit and a topic that cannot be are known before sending", async (t) => {
  const { redis, broker, bridge } = await bed(t, { maximumPacketSize: 2000 });
  await redis.xadd('s', '1-0', 'n', '1');
  await redis.xadd('s', '2-0', 'n', 'x'.repeat(3000));
  await redis.xadd('s', '3-0', 'n', '3', 'site', 'y');
  const long = 'x'.repeat(66_000);
  await redis.xadd(long, '1-0', 'n', '9');
  await bridge({ redisStreams: ['s', long] });
  await eventually(
    () => redis.xlen('dlq:s'),
    (length) => length === 1,
  );
  await eventually(
    () => redis.xlen(`dlq:${long}`),
    (length) => length === 1,
  );
  await eventually(
    () => leftOf(redis, 's'),
    (left) => left === 0,
  );
  deepEqual(numbers(broker), [1, 3]);
  match(JSON.stringify(await redis.xrange(`dlq:${long}`, '-', '+')), /above the 65535 of MQTT/);
});

test('SM-13, SM-14: an entry that makes the broker close the connection is found, and blocks neither its stream nor the others', async (t) => {
  const { redis, broker, bridge } = await bed(t);
  broker.answer = ({ payload }) => (payload.toString().includes('"n":"3"') ? 'close' : 0);
  await add(redis, 's', 8);
  for (let n = 101; n <= 108; n += 1) await redis.xadd('other', `${n}-0`, 'n', String(n));
  await bridge({ redisStreams: ['s', 'other'], maxDeliveries: 3 });
  await eventually(
    () => redis.xlen('dlq:s'),
    (length) => length === 1,
    30_000,
  );
  await eventually(
    async () => Math.max(await leftOf(redis, 's'), await leftOf(redis, 'other')),
    (left) => left === 0,
  );
  const seen = [...new Set(numbers(broker))];
  deepEqual(
    seen.filter((n) => n < 100 && n !== 3),
    [1, 2, 4, 5, 6, 7, 8],
  );
  deepEqual(
    seen.filter((n) => n > 100),
    [101, 102, 103, 104, 105, 106, 107, 108],
  );
  equal(await redis.xlen('dlq:other'), 0);
});

test('SM-13: codes that may pass make the connection anew; nothing becomes a dead letter', async (t) => {
  const { redis, broker, bridge } = await bed(t);
  let refusals = 3;
  broker.answer = () => (refusals-- > 0 ? 0x97 : 0);
  await add(redis, 's', 5);
  await bridge();
  await eventually(
    () => leftOf(redis, 's'),
    (left) => left === 0,
  );
  equal(await redis.exists('dlq:s'), 0);
  deepEqual([...new Set(numbers(broker))], [1, 2, 3, 4, 5]);
});

test('SM-13: 20 refusals in a row pause the bridge; Resume goes on without loss', async (t) => {
  const { redis, broker, bridge } = await bed(t);
  broker.answer = () => 0x87;
  await add(redis, 's', 100);
  const { call, bridge: component } = await bridge();
  await eventually(
    () => component.health().detail ?? '',
    (detail) => detail.includes('20 entries in a row'),
  );
  await eventually(
    () => redis.xlen('dlq:s'),
    (length) => length >= 20,
  );
  await sleep(300);
  equal(await redis.xlen('dlq:s'), 20);
  broker.answer = () => 0;
  equal((await call('Resume')).status, 200);
  await eventually(
    () => leftOf(redis, 's'),
    (left) => left === 0,
  );
  const delivered = new Set(numbers(broker));
  equal(delivered.size, 100);
});

test('SM-41: when the dead letters are full the bridge pauses and says so, and keeps every entry', async (t) => {
  const { redis, broker, bridge } = await bed(t);
  broker.answer = ({ payload }) => (/"n":"[123]"/.test(payload.toString()) ? 0x99 : 0);
  await add(redis, 's', 5);
  const { bridge: component } = await bridge({ deadLetterMax: 2 });
  await eventually(
    () => component.health().detail ?? '',
    (detail) => detail.includes('which is its limit'),
  );
  equal(await redis.xlen('dlq:s'), 2);
  await eventually(
    () => pendingOf(redis, 's'),
    (pending) => pending === 1,
  );
  await redis.xtrim('dlq:s', 'MAXLEN', 1);
  await eventually(
    () => leftOf(redis, 's'),
    (left) => left === 0,
  );
  equal(await redis.xlen('dlq:s'), 2);
  await eventually(
    () => component.health().state,
    (state) => state === 'ok',
  );
});

test('ReplayDeadLetters publishes dead letters with their own ids and keeps those that are refused again', async (t) => {
  const { redis, broker, bridge } = await bed(t);
  broker.answer = ({ payload }) => (/"n":"[23]"/.test(payload.toString()) ? 0x87 : 0);
  await add(redis, 's', 3);
  const { call } = await bridge();
  await eventually(
    () => redis.xlen('dlq:s'),
    (length) => length === 2,
  );
  broker.answer = ({ payload }) => (payload.toString().includes('"n":"3"') ? 0x87 : 0);
  const reply = await call('ReplayDeadLetters', { stream: 's' });
  deepEqual(reply.payload, {
    Message: '1 dead letters delivered',
    Status: 200,
    replayed: 1,
    remaining: 1,
    unreadable: 0,
  });
  match(broker.publishes.at(-2)?.payload.toString() ?? '', /"id":"2-0"/);
  equal((await call('ReplayDeadLetters', { stream: 'none' })).status, 404);
  equal((await call('ReplayDeadLetters', {})).status, 400);
});

test('SM-40: MQTT 3.1.1 works, and QoS 0 acknowledges after the socket took it', async (t) => {
  const { redis, broker, bridge } = await bed(t, {}, 4);
  await add(redis, 's', 50);
  const first = await bridge({ mqttProtocol: '3.1.1' });
  await eventually(
    () => leftOf(redis, 's'),
    (left) => left === 0,
  );
  equal(broker.publishes[0]?.qos, 1);
  await first.stop();
  await add(redis, 's', 50, 51);
  await bridge({ mqttProtocol: '3.1.1', mqttQos: 0 });
  await eventually(
    () => broker.publishes.length,
    (count) => count === 100,
  );
  await eventually(
    () => leftOf(redis, 's'),
    (left) => left === 0,
  );
  equal(broker.publishes.at(-1)?.qos, 0);
});

test('SM-36: stopping drains what is in flight, acknowledges it and leaves the rest pending for the next start', async (t) => {
  const { redis, broker, bridge } = await bed(t);
  broker.answer = () => 'silence';
  await add(redis, 's', 300);
  const first = await bridge({ mqttWindow: 10 });
  await eventually(
    () => broker.publishes.length,
    (count) => count === 10,
  );
  const stopping = first.stop();
  await sleep(100);
  broker.release();
  await stopping;
  const pending = await pendingOf(redis, 's');
  ok(pending > 0, `${pending} are pending`);
  equal(await leftOf(redis, 's'), 290);
  equal(broker.publishes.length, 10);
  broker.answer = () => 0;
  await bridge({ mqttWindow: 10 });
  await eventually(
    () => broker.publishes.length,
    (count) => count === 300,
  );
  deepEqual(
    numbers(broker),
    Array.from({ length: 300 }, (_, n) => n + 1),
  );
});

test('Pause and the setting paused hold everything; Resume ends the former only', async (t) => {
  const { redis, broker, bridge } = await bed(t);
  const { call, bridge: component } = await bridge();
  equal((await call('Pause')).status, 200);
  await add(redis, 's', 5);
  await sleep(400);
  equal(broker.publishes.length, 0);
  equal((await call('Resume')).status, 200);
  await eventually(
    () => broker.publishes.length,
    (count) => count === 5,
  );
  component.applyLive({ ...component.settings, paused: true });
  await add(redis, 's', 5, 6);
  equal((await call('Resume')).status, 409);
  await sleep(300);
  equal(broker.publishes.length, 5);
  component.applyLive({ ...component.settings, paused: false });
  await eventually(
    () => broker.publishes.length,
    (count) => count === 10,
  );
});

test('SM-30: a cap on messages holds, for all streams and for one', async (t) => {
  const { redis, broker, bridge } = await bed(t);
  await add(redis, 's', 400);
  const started = performance.now();
  const one = await bridge({ maxMessagesPerSecond: 100 });
  await eventually(
    () => broker.publishes.length,
    (count) => count >= 300,
  );
  const seconds = (performance.now() - started) / 1000;
  ok(seconds > 1.7 && seconds < 4, `300 entries at 100/s with a burst of 100 took ${seconds.toFixed(1)} s`);
  await one.stop();
  await add(redis, 'fast', 200);
  await add(redis, 'slow', 200);
  const before = broker.publishes.length;
  await bridge({ maxTopicBytesPerSecond: 5000, redisStreams: ['fast', 'slow'] });
  await sleep(1500);
  const bytes = broker.publishes
    .slice(before)
    .reduce((sum, { payload, topic }) => sum + payload.length + topic.length, 0);
  ok(bytes > 10_000 && bytes < 45_000, `${bytes} bytes in 1.5 s from two streams at 5000/s each`);
});
