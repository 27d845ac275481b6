import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { Redis } from 'ioredis';
import type { BridgeSettings } from '../../modules/stream-to-mqtt/src/settings.ts';
import { allDone, eventually, redisClient, startBridge } from '../helpers/bridge.ts';
import type { TestBridge } from '../helpers/bridge.ts';
import { startRedis } from '../helpers/redis.ts';
import { startScriptedBroker } from '../helpers/scripted-broker.ts';
import type { ScriptedBroker } from '../helpers/scripted-broker.ts';

interface Bed {
  readonly redis: Redis;
  readonly broker: ScriptedBroker;
  readonly bridge: (settings?: Partial<BridgeSettings>) => Promise<TestBridge>;
}

async function bed(t: TestContext, connack = {}): Promise<Bed> {
  const server = await startRedis(t);
  const broker = await startScriptedBroker(t, { connack });
  return {
    redis: redisClient(t, server.port),
    broker,
    bridge: (settings = {}) =>
      startBridge(t, {
        redisHost: '127.0.0.1',
        redisPort: server.port,
        mqttBrokerHost: '127.0.0.1',
        mqttBrokerPort: broker.port,
        ...settings,
      }),
  };
}

async function add(redis: Redis, stream: string | Buffer, count: number, value = ''): Promise<void> {
  const pipeline = redis.pipeline();
  for (let n = 1; n <= count; n += 1) pipeline.xadd(stream, '*', 'n', String(n), 'value', value);
  await pipeline.exec();
}

test('SM-13: the size of a packet is known beforehand, also where the name of its stream is most of it', async (t) => {
  const { redis, broker, bridge } = await bed(t, { maximumPacketSize: 40_000 });
  const name = 'ä'.repeat(8000);
  await add(redis, name, 1);
  await add(redis, 'short', 1);
  await bridge();
  await allDone(redis, name);
  await allDone(redis, 'short');
  const [letter] = await redis.xrange(`dlq:${name}`, '-', '+');
  ok(letter?.[1].includes('TOO_LARGE'), String(letter?.[1].slice(2, 10)));
  deepEqual([broker.connections, broker.publishes.length], [1, 1]);
});

test('QoS 2: no two messages in flight have one packet identifier, however large the window', async (t) => {
  const { redis, broker, bridge } = await bed(t);
  broker.answer = () => 'silence';
  await add(redis, 's', 9000);
  await bridge({ mqttQos: 2, mqttWindow: 20_000, mqttPublishTimeoutMs: 60_000, batchSize: 10_000 });
  let before = -1;
  await eventually(
    async () => {
      const grown = broker.publishes.length - before;
      before = broker.publishes.length;
      await new Promise((resolve) => setTimeout(resolve, 500));
      return grown;
    },
    (grown) => grown === 0 && before > 0,
    60_000,
  );
  const ids = new Set(broker.publishes.map(({ messageId }) => messageId));
  equal(ids.size, broker.publishes.length);
});

test('ReplayDeadLetters of letters that are refused again stops nothing else, and runs once at a time', async (t) => {
  const { redis, broker, bridge } = await bed(t);
  const isBad = ({ payload }: { payload: string | Buffer }): boolean => payload.toString().includes('bad');
  broker.answer = (packet) => (isBad(packet) ? 0x87 : 0);
  const { call, bridge: component } = await bridge({ redisStreams: ['s'] });
  // Good ones between them: these are single bad entries.
  for (let n = 0; n < 45; n += 1) {
    await redis.xadd('s', '*', 'n', 'bad');
    await redis.xadd('s', '*', 'n', 'good');
  }
  await eventually(
    () => redis.xlen('dlq:s'),
    (length) => length === 45,
  );
  const first = call('ReplayDeadLetters', { stream: 's' });
  const second = await call('ReplayDeadLetters', { stream: 's' });
  equal(second.status, 503);
  match(JSON.stringify(second.payload), /are being replayed/);
  const { payload } = await first;
  deepEqual(payload, {
    Message: '0 dead letters delivered',
    Status: 200,
    replayed: 0,
    remaining: 45,
    unreadable: 0,
  });
  deepEqual([...component.pauses], []);
  broker.answer = () => 0;
  match(
    JSON.stringify((await call('ReplayDeadLetters', { stream: 's', limit: 30 })).payload),
    /"replayed":30/,
  );
  equal(await redis.xlen('dlq:s'), 15);
  const replayed = broker.publishes.slice(-30).map(({ payload: given }) => given.toString());
  equal(replayed.filter((text) => text.includes('bad')).length, 30);
});

test('a key that turns from a stream into a text and back is let go and found again', async (t) => {
  const { redis, broker, bridge } = await bed(t);
  await add(redis, 'turns', 3);
  await add(redis, 'stays', 3);
  const { bridge: component } = await bridge({ redisStreams: ['turns'] });
  await allDone(redis, 'turns');
  await redis.set('turns', 'text');
  await eventually(
    () => component.health().detail,
    (detail) => detail === 'turns: the key is not a stream',
  );
  await add(redis, 'stays', 3);
  await eventually(
    () => broker.publishes.length,
    (count) => count === 9,
  );
  await redis.del('turns');
  await add(redis, 'turns', 3);
  await eventually(
    () => broker.publishes.length,
    (count) => count === 12,
  );
  await eventually(
    () => component.health().state,
    (state) => state === 'ok',
  );
});

test('a consumer that is deleted while it reads is made again, and what comes then arrives', async (t) => {
  const { redis, broker, bridge } = await bed(t);
  await add(redis, 's', 1);
  await bridge();
  await allDone(redis, 's');
  for (let n = 2; n < 6; n += 1) {
    await redis.xgroup('DELCONSUMER', 's', 'mqtt-group', 'mqtt-sync');
    await add(redis, 's', 1);
    await eventually(
      () => broker.publishes.length,
      (count) => count === n,
    );
  }
  await allDone(redis, 's');
});

test('the first read of a stream of large entries is a small one, also after many small entries', async (t) => {
  const { redis, broker, bridge } = await bed(t);
  await add(redis, 'small', 2000);
  await bridge({ mqttPublishTimeoutMs: 60_000, claimIdleMs: 200_000 });
  await allDone(redis, 'small');
  broker.answer = () => 'silence';
  const before = broker.publishes.length;
  const pipeline = redis.multi();
  for (let n = 0; n < 60; n += 1) pipeline.xadd('large', '*', 'value', 'x'.repeat(500_000));
  await pipeline.exec();
  await eventually(
    () => broker.publishes.length,
    (count) => count > before,
  );
  const [held] = (await redis.call('XPENDING', 'large', 'mqtt-group')) as [number];
  ok(held <= 24, `${held} entries of 500 kB were read at once`);
});

test('a busy stream beside some that never had an entry is read in full batches', async (t) => {
  const { redis, broker, bridge } = await bed(t);
  const quiet = Array.from({ length: 9 }, (_, n) => `quiet:${n}`);
  for (const stream of quiet) {
    await redis.xgroup('CREATE', stream, 'mqtt-group', '0', 'MKSTREAM');
  }
  await add(redis, 'busy', 5000);
  await redis.config('RESETSTAT');
  await bridge({ redisStreams: ['busy', ...quiet], autoDiscovery: false });
  await eventually(
    () => broker.publishes.length,
    (count) => count === 5000,
  );
  const calls = Number(/cmdstat_xreadgroup:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1]);
  ok(calls < 200, `${calls} reads for 5,000 entries`);
});

test('SM-38: what is reported says that the broker is away, and that it is back', async (t) => {
  const { broker, bridge } = await bed(t);
  const { reports } = await bridge();
  const last = (): string => JSON.stringify(reports.at(-1));
  await eventually(last, (text) => text.includes('"sinkState":"ready"'));
  broker.answersConnect = false;
  broker.closeAll();
  await eventually(last, (text) => text.includes('"sinkState":"down"'));
  broker.answersConnect = true;
  await eventually(last, (text) => text.includes('"sinkState":"ready"'));
});

test('SM-38: what is reported says so when there was no broker from the start', async (t) => {
  const { bridge } = await bed(t);
  const { reports } = await bridge({ mqttBrokerPort: 1 });
  await eventually(
    () => JSON.stringify(reports.at(-1)),
    (text) => text.includes('"sinkState":"down"'),
  );
});

test('names of any length and with control characters leave logs, metrics and answers readable', async (t) => {
  const { redis, bridge } = await bed(t);
  const long = 'x'.repeat(70_000);
  const odd = 'a\r\nb\u0000"c';
  await add(redis, long, 1);
  await add(redis, odd, 1);
  const { lines, metrics, call, status } = await bridge();
  await allDone(redis, long);
  await allDone(redis, odd);
  // An escape sequence of JSON takes several characters for one.
  ok(Math.max(...lines.map(({ length }) => length)) < 2000, 'a log line is too long');
  const text = metrics();
  match(text, /test_stream_oldest_unacked_seconds\{stream="a%0D%0Ab%00\\"c",db="0"\} /);
  ok(Math.max(...text.split('\n').map(({ length }) => length)) < 400, 'a line of the metrics is too long');
  ok(JSON.stringify((await call('BridgeStatus')).payload).length < 4000);
  equal((await status(odd))['published'], 1);
  equal((await status('a%0D%0Ab%00"c'))['published'], 1);
});
