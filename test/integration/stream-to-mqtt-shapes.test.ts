import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { Redis } from 'ioredis';
import type { BridgeSettings } from '../../modules/stream-to-mqtt/src/settings.ts';
import { allDone, eventually, leftOf, redisClient, startBridge, subscribe } from '../helpers/bridge.ts';
import type { Subscriber, TestBridge } from '../helpers/bridge.ts';
import { startMosquitto } from '../helpers/mosquitto.ts';
import { startRedis } from '../helpers/redis.ts';

interface Bed {
  readonly redis: Redis;
  readonly second: Redis;
  readonly subscriber: Subscriber;
  readonly bridge: (settings?: Partial<BridgeSettings>) => Promise<TestBridge>;
}

async function bed(t: TestContext): Promise<Bed> {
  const [server, broker] = await Promise.all([startRedis(t), startMosquitto(t)]);
  return {
    redis: redisClient(t, server.port),
    second: redisClient(t, server.port, 3),
    subscriber: await subscribe(t, broker.url),
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

function parsed(text: string): Record<string, unknown> {
  return JSON.parse(text) as Record<string, unknown>;
}

test('SM-15: a group begins where STREAM_GROUP_START says: at the first entry, after an id, or with what comes', async (t) => {
  const { redis, subscriber, bridge } = await bed(t);
  const starts = { first: '0', second: '2-0', late: '$' };
  for (const [group, groupStart] of Object.entries(starts)) {
    const stream = `s:${group}`;
    for (let n = 1; n <= 4; n += 1) await redis.xadd(stream, `${n}-0`, 'n', String(n));
    const { bridge: component, stop } = await bridge({
      group,
      groupStart,
      redisStreams: [stream],
      autoDiscovery: false,
    });
    await eventually(
      () => component.streams.map(({ phase }) => phase).join(),
      (phase) => phase === 'new',
    );
    await redis.xadd(stream, '*', 'n', 'later');
    await subscriber.until(1, ({ topic, text }) => topic.endsWith(group) && text.includes('later'));
    await stop();
  }
  const seen = Object.keys(starts).map(
    (group) => subscriber.messages.filter(({ topic }) => topic === `redis/s/${group}`).length,
  );
  deepEqual(seen, [5, 3, 1]);
});

test('SM-22, SM-23, SM-26: rules, chosen and renamed fields, numbers and extras meet in one payload', async (t) => {
  const { redis, subscriber, bridge } = await bed(t);
  await bridge({
    filterField: 'type',
    filterValues: ['alert', 'alarm'],
    filterRules: [{ field: 'debug', exists: false, streams: ['s'] }],
    fieldsSelect: ['n', 'type'],
    fieldsRename: { n: 'number' },
    parseNumbers: true,
    payloadExtras: ['db', 'deliveryCount'],
  });
  await redis.xadd('s', '1-0', 'type', 'quiet', 'n', '1');
  await redis.xadd('s', '2-0', 'type', 'alert', 'n', '2', 'debug', 'yes');
  await redis.xadd('s', '3-0', 'type', 'alarm', 'n', '3.5', 'other', 'x');
  await allDone(redis, 's');
  deepEqual(
    (await subscriber.until(1)).map(({ text }) => parsed(text)),
    [
      {
        stream: 's',
        id: '3-0',
        data: { number: 3.5, type: 'alarm' },
        timestamp: '1970-01-01T00:00:00.003Z',
        db: 0,
        deliveryCount: 1,
      },
    ],
  );
});

test('SM-24, SM-26: a raw payload is the bytes of its field; an entry without it becomes a dead letter and the next goes on', async (t) => {
  const { redis, subscriber, bridge } = await bed(t);
  await bridge({ payloadFormat: 'raw', payloadField: 'body' });
  const bytes = Buffer.from([0, 1, 254, 255]);
  await redis.xadd('s', '*', 'body', bytes);
  await redis.xadd('s', '*', 'other', 'x');
  await redis.xadd('s', '*', 'body', '');
  const messages = await subscriber.until(2);
  deepEqual(
    messages.map(({ payload }) => payload),
    [bytes, Buffer.alloc(0)],
  );
  equal(messages[0]?.properties['contentType'], 'application/octet-stream');
  await allDone(redis, 's');
  const [letter] = await redis.xrange('dlq:s', '-', '+');
  deepEqual(letter?.[1].slice(6, 8), ['code', 'INVALID']);
});

test('SM-25: what is left of the life of an entry is on the message; user properties may be left out', async (t) => {
  const { redis, subscriber, bridge } = await bed(t);
  await bridge({ mqttExpirySeconds: 600, mqttUserProperties: false });
  await redis.xadd('s', `${Date.now() - 100_000}-0`, 'n', '1');
  const [message] = await subscriber.until(1);
  const left = Number(message?.properties['messageExpiryInterval']);
  ok(left > 400 && left <= 501, `${left} s`);
  equal(message?.properties['userProperties'], undefined);
});

test('SM-18: the database stands in the topic always, or never, when told so', async (t) => {
  const { redis, second, subscriber, bridge } = await bed(t);
  await redis.xadd('s', '*', 'n', '1');
  await second.xadd('s', '*', 'n', '1');
  const expected = { always: ['redis/0/s', 'redis/3/s'], never: ['redis/s', 'redis/s'] } as const;
  for (const mqttTopicDb of ['always', 'never'] as const) {
    const before = (await subscriber.until(0)).length;
    const { stop } = await bridge({ mqttTopicDb, group: mqttTopicDb, redisDbs: [0, 3] });
    const messages = await subscriber.until(before + 2);
    deepEqual(
      messages
        .slice(before)
        .map(({ topic }) => topic)
        .sort(),
      expected[mqttTopicDb],
    );
    await stop();
  }
});

test('sink = edgehub: an entry that no message takes becomes a dead letter; what edgeHub does not take waits', async (t) => {
  const { redis, bridge } = await bed(t);
  const started = await bridge({ sink: 'edgehub', edgehubMaxBytes: 4096, edgehubIntervalMs: 0 });
  started.failSend = () => new Error('edgeHub is away');
  await redis.xadd('s', '1-0', 'n', 'x'.repeat(5000));
  await redis.xadd('s', '2-0', 'n', 'small');
  await eventually(
    () => redis.xlen('dlq:s'),
    (length) => length === 1,
  );
  equal(await leftOf(redis, 's'), 1);
  started.failSend = undefined;
  await allDone(redis, 's');
  const sent = started.sent.map(({ data }) => data.toString());
  deepEqual([sent.length, sent[0]?.includes('"id":"2-0"')], [1, true]);
});
