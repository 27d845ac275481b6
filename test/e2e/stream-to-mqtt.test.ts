import { deepEqual, equal, match } from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { subscribe } from '../helpers/bridge.ts';
import { startEdge } from '../helpers/edge-process.ts';
import { operatorClient } from '../helpers/operator.ts';
import { eventually } from '../helpers/site.ts';

test('npm start: an entry that is appended to a stream arrives at the broker of the deployment, or in the cloud', async (t) => {
  const edge = await startEdge(t);
  const net = JSON.parse(readFileSync(join(edge.stateDir, 'net.json'), 'utf8')) as Record<string, number>;
  const port = (name: string): number => net[name] ?? 0;
  const redis = operatorClient(t, edge.stateDir);
  match(edge.output.stdout, new RegExp(`npx mqtt sub -p ${port('mosquitto:1883')} -t 'redis/#'`));
  const subscriber = await subscribe(t, `mqtt://127.0.0.1:${port('mosquitto:1883')}`);
  await redis.xadd('device:sensor:data', '1651234567890-0', 'field1', 'value1');
  const [message] = await subscriber.until(1, () => true, 60_000);
  equal(message?.topic, 'redis/device/sensor/data');
  deepEqual(JSON.parse(message.text), {
    stream: 'device:sensor:data',
    id: '1651234567890-0',
    data: { field1: 'value1' },
    timestamp: '2022-04-29T12:16:07.890Z',
  });
  const status = await eventually(
    () => edge.invoke('stream-to-mqtt', 'BridgeStatus', { stream: 'device:sensor:data' }),
    (reply) => JSON.stringify(reply).includes('"published":1'),
  );
  match(JSON.stringify(status), /"lag":0,"pending":0/);

  // As a person appends one.
  const printed = await edge.ok('exec', 'redis', 'sh', '/run/cli', 'XADD', 'typed', '*', '-n', '1');
  match(printed, /^\d+-0\s*$/);
  await subscriber.until(1, ({ topic }) => topic === 'redis/typed', 60_000);
  equal((await edge.run('exec', 'redis', 'sh', '-c', 'exit 7')).code, 7);

  // By the twin, the same entries go to IoT Hub instead.
  await edge.ok('module-twin', 'update', '-m', 'stream-to-mqtt', '--desired', '{"sink":"edgehub"}');
  await eventually(
    () => edge.invoke('stream-to-mqtt', 'Health', null),
    (reply) => JSON.stringify(reply).includes('edgeHub output entries'),
  );
  const events = join(edge.stateDir, 'events.ndjson');
  await redis.xadd('device:sensor:data', '*', 'field1', 'to the cloud');
  await eventually(
    () => Promise.resolve(existsSync(events) ? readFileSync(events, 'utf8') : ''),
    (text) => text.includes('stream-to-mqtt'),
  );
});
