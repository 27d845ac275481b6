import { deepEqual, equal, match } from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bundle } from '../../build/bundle.ts';
import { createCertificates } from '../../local-edge/src/certificates.ts';
import { createBridgeProcess } from '../helpers/bridge-process.ts';
import { eventually, leftOf, redisClient, startBridge, subscribe } from '../helpers/bridge.ts';
import { startMosquitto } from '../helpers/mosquitto.ts';
import { startRedis } from '../helpers/redis.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

test("AM-4: the program takes the seed's env.conf by --config-file and --log-level, warns of LOG_FORMAT once, and stops when told to", async (t) => {
  const [server, broker] = await Promise.all([startRedis(t), startMosquitto(t)]);
  const dir = await mkdtemp(join(tmpdir(), 'conf-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const file = join(dir, 'env.conf');
  await writeFile(
    file,
    `LOG_LEVEL=INFO
LOG_FORMAT=%(asctime)s - %(message)s
REDIS_HOST=127.0.0.1
REDIS_PORT=${server.port}
REDIS_PASSWORD=
REDIS_DBS_TO_SEARCH=0,1,2
MQTT_BROKER_HOST=127.0.0.1
MQTT_BROKER_PORT=${broker.port}
MQTT_BASE_TOPIC=redis
MQTT_FILTER_FIELD=type
MQTT_FILTER_VALUES=alert,warning
STREAM_GROUP=mqtt-group
STREAM_READ_TIMEOUT_MS=200
`,
  );
  const redis = redisClient(t, server.port, 2);
  const subscriber = await subscribe(t, broker.url);
  const program = await createBridgeProcess(t, {}, ['--config-file', file, '--log-level=DEBUG']);
  program.start();
  await program.ready();
  for (const type of ['alert', 'info', 'warning']) await redis.xadd('device:sensor:data', '*', 'type', type);
  const messages = await subscriber.until(2);
  deepEqual(
    messages.map(({ text }) => (JSON.parse(text) as { data: { type: string } }).data.type),
    ['alert', 'warning'],
  );
  await eventually(
    () => leftOf(redis, 'device:sensor:data'),
    (left) => left === 0,
  );
  match(JSON.stringify(await program.post('BridgeStatus')), /"Status":200.*"filtered":1/);
  match(JSON.stringify(await program.post('Health')), /"State":"ok"/);
  equal(program.output().match(/LOG_FORMAT is ignored/g)?.length, 1);
  match(program.output(), /\[DBG\]/);
  await program.kill('SIGTERM');
  match(program.output(), /\[INF\] module stopped/);
  await eventually(
    () => subscriber.messages.at(-1),
    (last) => last?.topic === 'redis/status' && last.text === 'offline',
  );
});

test('the bundle that an image runs forwards entries', async (t) => {
  const [server, broker] = await Promise.all([startRedis(t), startMosquitto(t)]);
  const main = await bundle('stream-to-mqtt');
  equal(relative(root, main), join('modules', 'stream-to-mqtt', 'bundle', 'main.js'));
  const redis = redisClient(t, server.port);
  const subscriber = await subscribe(t, broker.url);
  const environment = {
    REDIS_HOST: '127.0.0.1',
    REDIS_PORT: String(server.port),
    MQTT_BROKER_HOST: '127.0.0.1',
    MQTT_BROKER_PORT: String(broker.port),
  };
  const program = await createBridgeProcess(t, environment, [], main);
  program.start();
  await program.ready();
  await redis.xadd('s', '*', 'n', '1');
  await subscriber.until(1);
  await program.kill('SIGTERM');
});

test('AM-1: without a broker or Redis in the settings the module stays up and says what is missing', async (t) => {
  const program = await createBridgeProcess(t, {});
  program.start();
  const health = await eventually(
    () => program.post('Health').catch(() => ''),
    (reply) => JSON.stringify(reply).includes('the broker is not set'),
  );
  match(JSON.stringify(health), /MQTT_BROKER_HOST or MQTT_BROKERS/);
  await program.kill('SIGTERM');
});

test('TLS: the broker is checked by MQTT_CA_FILE, and shown a client certificate where it asks for one', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'tls-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const certificates = await createCertificates(dir);
  const client = await certificates.issue({
    commonName: 'bridge',
    names: ['bridge'],
    use: 'client',
    expires: new Date(Date.now() + 86_400_000),
  });
  const files = { cert: join(dir, 'client.pem'), key: join(dir, 'client-key.pem') };
  await writeFile(files.cert, client.certificatePem);
  await writeFile(files.key, client.privateKeyPem);
  const server = await startRedis(t);
  const broker = await startMosquitto(t, {
    listener: [
      `cafile ${join(dir, 'ca.pem')}`,
      `certfile ${join(dir, 'server.pem')}`,
      `keyfile ${join(dir, 'server-key.pem')}`,
      'require_certificate true',
    ],
  });
  const redis = redisClient(t, server.port);
  await redis.xadd('s', '*', 'n', '1');
  const settings = {
    redisHost: '127.0.0.1',
    redisPort: server.port,
    mqttBrokers: [`mqtts://localhost:${broker.port}`],
    mqttConnectTimeoutMs: 2000,
  };
  const untrusting = await startBridge(t, settings);
  const reason = await eventually(
    () => untrusting.bridge.health().detail ?? '',
    (detail) => detail.includes('certificate'),
  );
  match(reason, /connecting to mqtts:\/\/localhost/);
  await untrusting.stop();
  const withoutOwn = await startBridge(t, { ...settings, mqttCaFile: join(dir, 'ca.pem') });
  await eventually(
    () => withoutOwn.bridge.health().detail ?? '',
    (detail) => detail.startsWith('connecting to'),
  );
  await withoutOwn.stop();
  await startBridge(t, {
    ...settings,
    mqttCaFile: join(dir, 'ca.pem'),
    mqttCertFile: files.cert,
    mqttKeyFile: files.key,
  });
  await eventually(
    () => leftOf(redis, 's'),
    (left) => left === 0,
  );
});
