import { deepEqual, equal, match, throws } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ConfigError } from '@iotedge-redis/common';
import { commonFields } from '../../../modules/common/src/settings/settings-common.ts';
import { parseConfigFile } from '../../../modules/common/src/settings/settings-file.ts';
import { parseSettings } from '../../../modules/common/src/settings/settings-parse.ts';
import {
  brokerAddresses,
  checkSettings,
  databasesOf,
  fields,
  instanceSuffix,
  missingSettings,
} from '../../../modules/stream-to-mqtt/src/settings.ts';
import { streamToMqtt } from '../../../modules/stream-to-mqtt/src/module.ts';
import { statusTopicOf } from '../../../modules/stream-to-mqtt/src/sink/sinks.ts';

/** The seed's env.conf, as it is. */
const ENV_CONF = `# === General Settings ===
LOG_LEVEL=INFO
LOG_FORMAT=%(asctime)s - %(name)s - %(levelname)s - %(message)s

# === Redis Settings ===
REDIS_HOST=localhost
REDIS_PORT=6379
REDIS_PASSWORD=
REDIS_USERNAME=
REDIS_SSL=false
REDIS_POOL_SIZE=10
REDIS_MAX_RETRIES=5
REDIS_RETRY_INTERVAL=5
REDIS_RATE_LIMIT=1000
REDIS_DBS_TO_SEARCH=0,1,2

# === MQTT Settings ===
MQTT_BROKER_HOST=localhost
MQTT_BROKER_PORT=1883
MQTT_CLIENT_ID=redis-mqtt-sync
MQTT_USERNAME=
MQTT_PASSWORD=
MQTT_USE_TLS=false
MQTT_QOS=1
MQTT_RETAIN=false
MQTT_BASE_TOPIC=redis
MQTT_FILTER_FIELD=
MQTT_FILTER_VALUES=

# === Stream Settings ===
REDIS_STREAMS=
STREAM_AUTO_DISCOVERY=true
STREAM_GROUP=mqtt-group
STREAM_CONSUMER=mqtt-sync
STREAM_BATCH_SIZE=100
STREAM_READ_TIMEOUT_MS=1000
`;

const all = { ...commonFields, ...fields };

function parse(
  environment: Record<string, string>,
  desired = {},
): ReturnType<typeof parseSettings<typeof all>>['settings'] {
  return parseSettings(all, { environment, desired }, (settings) => checkSettings(settings)).settings;
}

test("every setting of the seed's env.conf works by its name, from a file", () => {
  const { settings, origins } = parseSettings(all, { file: parseConfigFile(ENV_CONF, 'env.conf') }, (s) =>
    checkSettings(s),
  );
  deepEqual(settings.redisDbs, [0, 1, 2]);
  deepEqual(
    [settings.redisHost, settings.redisPort, settings.redisTls, settings.redisPoolSize],
    ['localhost', 6379, false, 10],
  );
  deepEqual([settings.redisMaxRetries, settings.redisRetryInterval, settings.redisRateLimit], [5, 5, 1000]);
  deepEqual(
    [settings.mqttBrokerHost, settings.mqttBrokerPort, settings.mqttClientId, settings.mqttUseTls],
    ['localhost', 1883, 'redis-mqtt-sync', false],
  );
  deepEqual([settings.mqttQos, settings.mqttRetain, settings.mqttBaseTopic], [1, false, 'redis']);
  deepEqual(
    [settings.group, settings.consumer, settings.batchSize, settings.readTimeoutMs, settings.autoDiscovery],
    ['mqtt-group', 'mqtt-sync', 100, 1000, true],
  );
  equal(settings.logLevel, 'info');
  equal(origins.logFormat, 'file');
  const names = [...ENV_CONF.matchAll(/^([A-Z_]+)=/gm)].map(([, name]) => name ?? '');
  const known = new Set(Object.values(all).flatMap(({ env }) => env));
  deepEqual(
    names.filter((name) => !known.has(name)),
    [],
  );
});

test('the same names work from the environment, with the same defaults', () => {
  const settings = parse({
    MQTT_QOS: '2',
    STREAM_GROUP: 'g',
    REDIS_STREAMS: 'a,b',
    MQTT_FILTER_FIELD: 'type',
    MQTT_FILTER_VALUES: 'alert,warning',
  });
  deepEqual(
    [settings.mqttQos, settings.group, settings.redisStreams, settings.filterValues],
    [2, 'g', ['a', 'b'], ['alert', 'warning']],
  );
  const plain = parse({});
  deepEqual(
    [
      plain.mqttClientId,
      plain.mqttBaseTopic,
      plain.group,
      plain.consumer,
      plain.batchSize,
      plain.redisRateLimit,
      plain.mqttQos,
    ],
    ['redis-mqtt-sync', 'redis', 'mqtt-group', 'mqtt-sync', 100, 1000, 1],
  );
});

test('mistakes are told by name', () => {
  const cases: readonly [Record<string, string>, RegExp][] = [
    [{ MQTT_FILTER_FIELD: 'type' }, /MQTT_FILTER_VALUES: needed/],
    [{ MQTT_FILTER_VALUES: 'a' }, /MQTT_FILTER_FIELD: needed/],
    [{ PAYLOAD_FORMAT: 'raw' }, /PAYLOAD_FIELD: needed/],
    [{ MQTT_CERT_FILE: 'a' }, /MQTT_KEY_FILE: a client certificate/],
    [{ STREAM_CLAIM_IDLE_MS: '15000' }, /STREAM_CLAIM_IDLE_MS: must be more than twice/],
    [{ STREAM_AUTO_DISCOVERY: 'false' }, /REDIS_STREAMS: needed/],
    [{ MQTT_BROKERS: 'host:1883' }, /MQTT_BROKERS: expected URLs/],
    [{ MQTT_BASE_TOPIC: 'a/#' }, /MQTT_BASE_TOPIC: expected a topic/],
    [{ MQTT_TOPIC: '{x}' }, /MQTT_TOPIC: expected a template/],
    [{ REDIS_DBS_TO_SEARCH: '0,a' }, /REDIS_DBS_TO_SEARCH: expected numbers/],
    [{ FILTER_RULES: '[{"field":"a"}]' }, /FILTER_RULES: expected an array of rules/],
    [{ FILTER_RULES: '{' }, /FILTER_RULES/],
    [{ FILTER_RULES: '[{"field":"a","values":[]}]' }, /FILTER_RULES: expected .* lists are not empty/],
    [{ FILTER_RULES: '[{"field":"a","not":["x"],"streams":[]}]' }, /FILTER_RULES: expected/],
    [{ FILTER_RULES: '[{"field":"a","values":[1]}]' }, /FILTER_RULES: expected/],
    [{ FIELDS_RENAME: 'a' }, /FIELDS_RENAME: expected old=new/],
    [{ PAYLOAD_EXTRAS: 'x' }, /PAYLOAD_EXTRAS: expected some of/],
    [{ STREAM_GROUP_START: 'now' }, /STREAM_GROUP_START: expected 0/],
    [{ REDIS_MODE: 'cluster', REDIS_DBS_TO_SEARCH: '0,1' }, /REDIS_DBS_TO_SEARCH: a Redis cluster/],
  ];
  for (const [environment, expected] of cases) {
    throws(
      () => parse(environment),
      (error: unknown) => error instanceof ConfigError && expected.test(error.message),
      JSON.stringify(environment),
    );
  }
});

test('structured settings come from the environment as text and from the twin as JSON', () => {
  const fromTwin = parse(
    {},
    {
      filterRules: [{ field: 'a', not: ['1'] }],
      fieldsRename: { a: 'b' },
      payloadExtras: ['db'],
      redisDbs: [3, 3],
    },
  );
  const fromText = parse({
    FILTER_RULES: '[{"field":"a","not":["1"]}]',
    FIELDS_RENAME: 'a=b',
    PAYLOAD_EXTRAS: 'db',
    REDIS_DBS_TO_SEARCH: '3,3',
  });
  for (const name of ['filterRules', 'fieldsRename', 'payloadExtras', 'redisDbs'] as const)
    deepEqual(fromTwin[name], fromText[name]);
  deepEqual(fromText.redisDbs, [3]);
});

test('brokers, databases and names follow from the settings', () => {
  const one = parse({
    MQTT_BROKER_HOST: 'b',
    MQTT_USE_TLS: 'true',
    MQTT_BROKER_PORT: '8883',
    REDIS_DB: '4',
    REDIS_HOST: 'r',
  });
  deepEqual(
    brokerAddresses(one).map(({ text }) => text),
    ['mqtts://b:8883'],
  );
  deepEqual(databasesOf(one), [4]);
  equal(missingSettings(one), undefined);
  const two = parse({ MQTT_BROKERS: 'mqtt://a,wss://b/mqtt' });
  deepEqual(
    brokerAddresses(two).map(({ text }) => text),
    ['mqtt://a:1883', 'wss://b:443/mqtt'],
  );
  match(missingSettings(two) ?? '', /endpoint is not set/);
  match(missingSettings(parse({ REDIS_HOST: 'r' })) ?? '', /the broker is not set/);
  equal(missingSettings(parse({ REDIS_HOST: 'r', SINK: 'edgehub' })), undefined);
  equal(instanceSuffix('stream-to-mqtt', 'stream-to-mqtt'), '');
  equal(instanceSuffix('stream-to-mqtt', 'pod-1'), 'pod-1');
  equal(statusTopicOf(one, 'stream-to-mqtt', ''), 'redis/status');
  equal(statusTopicOf(one, 'pod-1', 'pod-1'), 'redis/status/pod-1');
  equal(statusTopicOf({ ...one, mqttStatusTopic: 'none' }, 'x', ''), undefined);
});

test('main.ts composes and does nothing else', () => {
  const text = readFileSync(new URL('../../../modules/stream-to-mqtt/src/main.ts', import.meta.url), 'utf8');
  equal(text.split('\n').length <= 15, true);
  deepEqual(streamToMqtt.methods, ['BridgeStatus', 'Pause', 'Resume', 'ReplayDeadLetters']);
});
