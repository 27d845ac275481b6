import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, pendingOf, redisClient, startBridge, subscribe } from '../helpers/bridge.ts';
import { startMosquitto } from '../helpers/mosquitto.ts';
import { startRedis } from '../helpers/redis.ts';

test('entries of a discovered stream arrive as the seed shapes them and are acknowledged', async (t) => {
  const [server, broker] = await Promise.all([startRedis(t), startMosquitto(t)]);
  const redis = redisClient(t, server.port);
  const subscriber = await subscribe(t, broker.url);
  await redis.xadd('device:sensor:data', '1651234567890-0', 'field1', 'value1', 'field3', '123');
  await startBridge(t, { redisHost: '127.0.0.1', redisPort: server.port, mqttBrokerHost: '127.0.0.1', mqttBrokerPort: broker.port });
  const [message] = await subscriber.until(1);
  equal(message?.topic, 'redis/device/sensor/data');
  deepEqual(JSON.parse(message?.text ?? ''), {
    stream: 'device:sensor:data',
    id: '1651234567890-0',
    data: { field1: 'value1', field3: '123' },
    timestamp: '2022-04-29T12:16:07.890Z',
  });
  equal(await eventually(() => pendingOf(redis, 'device:sensor:data'), (pending) => pending === 0), 0);
});
