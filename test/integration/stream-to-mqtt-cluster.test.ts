import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { Cluster } from 'ioredis';
import { eventually, redisClient, startBridge, subscribe } from '../helpers/bridge.ts';
import { arrived } from '../helpers/ledger.ts';
import { startMosquitto } from '../helpers/mosquitto.ts';
import { startRedis } from '../helpers/redis.ts';

const HALF = 8192;

/** Two nodes, each with half of the slots. */
async function startCluster(
  t: TestContext,
): Promise<{ readonly ports: readonly number[]; readonly client: Cluster }> {
  const args = [
    '--cluster-enabled',
    'yes',
    '--cluster-announce-ip',
    '127.0.0.1',
    '--cluster-node-timeout',
    '2000',
  ];
  const [one, two] = await Promise.all([startRedis(t, { args }), startRedis(t, { args })]);
  const nodes = [redisClient(t, one.port), redisClient(t, two.port)] as const;
  await nodes[0].call('CLUSTER', ['ADDSLOTSRANGE', 0, HALF - 1]);
  await nodes[1].call('CLUSTER', ['ADDSLOTSRANGE', HALF, 2 * HALF - 1]);
  await nodes[0].call('CLUSTER', ['MEET', '127.0.0.1', two.port]);
  for (const node of nodes)
    await eventually(
      async () => String(await node.call('CLUSTER', ['INFO'])),
      (info) => info.includes('cluster_state:ok') && info.includes('cluster_known_nodes:2'),
    );
  const client = new Cluster([{ host: '127.0.0.1', port: one.port }]);
  client.on('error', () => undefined);
  t.after(() => client.disconnect());
  return { ports: [one.port, two.port], client };
}

test('Redis Cluster: streams of every node are found and forwarded in order, dead letters stay with their stream, trimming works', async (t) => {
  const { ports, client } = await startCluster(t);
  const broker = await startMosquitto(t);
  const subscriber = await subscribe(t, broker.url);
  const names = Array.from({ length: 8 }, (_, n) => `device:${n}`);
  for (const name of names) {
    const pipeline = client.pipeline();
    for (let n = 1; n <= 100; n += 1) pipeline.xadd(name, '*', 'n', String(n), 'place', 'x');
    await pipeline.exec();
  }
  // One entry without the field of its topic, and one abandoned by another consumer.
  await client.xadd('device:0', '*', 'n', '101');
  await client.xgroup('CREATE', 'device:1', 'mqtt-group', '0');
  await client.xreadgroup('GROUP', 'mqtt-group', 'dead', 'COUNT', 10, 'STREAMS', 'device:1', '>');
  const nodes = ports.map((port) => redisClient(t, port));
  const found = await Promise.all(nodes.map((node) => node.dbsize()));
  ok(Math.min(...found) > 0, `both nodes have streams: ${found.join(', ')}`);
  const { bridge, status } = await startBridge(t, {
    redisMode: 'cluster',
    redisHost: '127.0.0.1',
    redisPort: ports[0] ?? 0,
    mqttBrokerHost: '127.0.0.1',
    mqttBrokerPort: broker.port,
    mqttTopic: '{base}/{stream}/{field:place}',
    mqttPublishTimeoutMs: 200,
    claimIdleMs: 600,
    trim: 'acknowledged',
    housekeepingIntervalMs: 200,
    singleActive: true,
  });
  await subscriber.until(800, () => true, 30_000);
  for (const name of names) {
    const expected = Array.from({ length: 100 }, (_, n) => n + 1);
    deepEqual(arrived(subscriber, `${name}:x`), expected, name);
  }
  await eventually(
    () => client.xlen('dlq:{device:0}'),
    (length) => length === 1,
  );
  await eventually(
    async () => Math.max(...(await Promise.all(names.map((name) => client.xlen(name))))),
    (length) => length === 0,
  );
  equal((await status('device:1'))['published'], 100);
  equal(bridge.health().state, 'ok');
});
