import { choice, custom, FieldProblem, flag, integer, list, text } from '@iotedge-redis/common';
import { parseBroker } from '../mqtt/mqtt-address.ts';
import { filterProblem, templateProblem } from '../shape/topic.ts';

function topicText(given: string): string {
  const problem = filterProblem(given);
  if (problem !== undefined || given === '')
    throw new FieldProblem(`expected a topic: it ${problem ?? 'must not be empty'}`);
  return given;
}

function templateText(given: string): string {
  const problem = templateProblem(given);
  if (problem !== undefined || given === '')
    throw new FieldProblem(`expected a template: it ${problem ?? 'must not be empty'}`);
  return given;
}

function brokerTexts(given: readonly string[]): readonly string[] {
  for (const one of given) {
    const result = parseBroker(one);
    if ('problem' in result) throw new FieldProblem(`expected URLs of brokers: each one ${result.problem}`);
  }
  return given;
}

const brokers = list({
  env: 'MQTT_BROKERS',
  twin: 'mqttBrokers',
  default: [],
  description:
    'Addresses that are tried in turn: `mqtt://host:1883`, `mqtts://host:8883`, `ws://host/path`, `wss://host/path`. Replaces MQTT_BROKER_HOST, MQTT_BROKER_PORT and MQTT_USE_TLS.',
});

/** Where the broker is and how the bridge speaks to it. */
export const mqttFields = {
  mqttBrokers: {
    ...brokers,
    fromText: (t: string) => brokerTexts(brokers.fromText(t)),
    fromJson: (v: Parameters<typeof brokers.fromJson>[0]) => brokerTexts(brokers.fromJson(v)),
  },
  mqttBrokerHost: text({
    env: 'MQTT_BROKER_HOST',
    twin: 'mqttBrokerHost',
    description: 'Host name or address of the broker.',
  }),
  mqttBrokerPort: integer({
    env: 'MQTT_BROKER_PORT',
    twin: 'mqttBrokerPort',
    min: 1,
    max: 65_535,
    default: 1883,
    description: 'Port of the broker.',
  }),
  mqttClientId: text({
    env: 'MQTT_CLIENT_ID',
    default: 'redis-mqtt-sync',
    description:
      'Client id. An instance with a name of its own (INSTANCE_NAME, or another module id) appends it: two clients of one id would throw each other out.',
  }),
  mqttUsername: text({ env: 'MQTT_USERNAME', description: 'User name for the broker.' }),
  mqttPassword: text({
    env: 'MQTT_PASSWORD',
    secret: true,
    description: 'Password for the broker; MQTT_PASSWORD_FILE names a file that holds it.',
  }),
  mqttUseTls: flag({
    env: 'MQTT_USE_TLS',
    default: false,
    description: 'TLS towards MQTT_BROKER_HOST; MQTT_BROKERS says it in each URL.',
  }),
  mqttCaFile: text({
    env: 'MQTT_CA_FILE',
    description: 'File with the CA certificates (PEM) that the broker is trusted by; else the ones of Node.',
  }),
  mqttCertFile: text({
    env: 'MQTT_CERT_FILE',
    description: 'Client certificate (PEM) for the broker; needs MQTT_KEY_FILE.',
  }),
  mqttKeyFile: text({ env: 'MQTT_KEY_FILE', description: 'Private key (PEM) of the client certificate.' }),
  mqttTlsServerName: text({
    env: 'MQTT_TLS_SERVER_NAME',
    description: "Name to expect in the broker's certificate; default: the host.",
  }),
  mqttProtocol: choice({
    env: 'MQTT_PROTOCOL',
    choices: ['5', '3.1.1'],
    aliases: { '4': '3.1.1', '311': '3.1.1', '5.0': '5' },
    default: '5',
    description:
      'Version of MQTT. With 3.1.1 a broker cannot say that it refused a message: what it discards (no permission, too large) counts as delivered.',
  }),
  mqttQos: integer({
    env: 'MQTT_QOS',
    twin: 'mqttQos',
    min: 0,
    max: 2,
    default: 1,
    description:
      'Quality of service. 1: at least once. 2: exactly once within one connection. 0: at most once, acknowledged in Redis as soon as it is written to the socket.',
  }),
  mqttRetain: flag({
    env: 'MQTT_RETAIN',
    twin: 'mqttRetain',
    default: false,
    description: 'Publish retained messages: the broker keeps the last one of each topic.',
  }),
  mqttBaseTopic: custom({
    env: 'MQTT_BASE_TOPIC',
    twin: 'mqttBaseTopic',
    type: 'a topic without +, # and NUL',
    default: 'redis',
    description: 'First part of every topic: stream `device:sensor:data` goes to `redis/device/sensor/data`.',
    fromText: topicText,
  }),
  mqttTopic: custom({
    env: 'MQTT_TOPIC',
    twin: 'mqttTopic',
    type: 'a template',
    default: '{base}/{stream}',
    description:
      'Topic of an entry. `{base}`, `{stream}` (every `:` a `/`), `{rawStream}`, `{db}`, `{instance}`, `{field:NAME}` (a field of the entry).',
    fromText: templateText,
  }),
  mqttTopicDb: choice({
    env: 'MQTT_TOPIC_DB',
    twin: 'mqttTopicDb',
    choices: ['auto', 'always', 'never'],
    default: 'auto',
    description:
      'Put the number of the database before the stream: `auto` does it for a name that exists in two databases.',
  }),
  mqttStatusTopic: custom({
    env: 'MQTT_STATUS_TOPIC',
    type: 'a template without fields, or none',
    default: '{base}/status',
    description:
      'Retained `online` and, as the will, `offline`. `none` switches it off. An instance with a name of its own appends it unless the template has `{instance}`.',
    fromText: templateText,
  }),
  mqttWindow: integer({
    env: 'MQTT_WINDOW',
    twin: 'mqttWindow',
    min: 1,
    max: 65_535,
    default: 256,
    unit: 'messages',
    description: "Most messages without an acknowledgement; never more than the broker's Receive Maximum.",
  }),
  mqttPublishTimeoutMs: integer({
    env: 'MQTT_PUBLISH_TIMEOUT_MS',
    min: 100,
    max: 600_000,
    default: 10_000,
    unit: 'ms',
    description: 'Longest wait for the acknowledgement of a message before the connection is made anew.',
  }),
  mqttConnectTimeoutMs: integer({
    env: 'MQTT_CONNECT_TIMEOUT_MS',
    min: 100,
    max: 600_000,
    default: 5000,
    unit: 'ms',
    description: 'How long one attempt to connect to a broker may take.',
  }),
  mqttKeepaliveSeconds: integer({
    env: 'MQTT_KEEPALIVE_SECONDS',
    min: 1,
    max: 65_535,
    default: 15,
    unit: 's',
    description: 'A broker that is silent for longer than one and a half times this is given up.',
  }),
  mqttExpirySeconds: integer({
    env: 'MQTT_EXPIRY_SECONDS',
    twin: 'mqttExpirySeconds',
    min: 0,
    max: 0xffff_ffff,
    default: 0,
    unit: 's',
    description:
      'Life of an entry, counted from its id; the broker drops the message afterwards (MQTT 5). 0: for ever.',
  }),
  mqttUserProperties: flag({
    env: 'MQTT_USER_PROPERTIES',
    twin: 'mqttUserProperties',
    default: true,
    description: 'User properties `stream` and `stream-id` for subscribers that drop repetitions (MQTT 5).',
  }),
};
