import { checkRedis, missingRedis, redisFields, redisTarget } from '@iotedge-redis/common';
import type { SettingsOf } from '@iotedge-redis/common';
import { addressOf, parseBroker } from './mqtt/mqtt-address.ts';
import type { BrokerAddress } from './mqtt/mqtt-address.ts';
import { mqttFields } from './settings/settings-mqtt.ts';
import { shapeFields } from './settings/settings-shape.ts';
import { streamFields } from './settings/settings-streams.ts';

export const fields = { ...redisFields, ...mqttFields, ...streamFields, ...shapeFields };

export type BridgeSettings = SettingsOf<typeof fields>;

interface Problem {
  name: keyof BridgeSettings;
  problem: string;
}

/** Mistakes that only several settings together make. */
export function checkSettings(settings: BridgeSettings): Problem[] {
  const problems: Problem[] = [...checkRedis(settings)];
  if (settings.filterField !== undefined && settings.filterValues.length === 0) {
    problems.push({
      name: 'filterValues',
      problem: 'needed because MQTT_FILTER_FIELD is set: without values nothing would ever be published',
    });
  }
  if (settings.filterField === undefined && settings.filterValues.length > 0) {
    problems.push({ name: 'filterField', problem: 'needed because MQTT_FILTER_VALUES is set' });
  }
  if (settings.payloadFormat === 'raw' && settings.payloadField === undefined) {
    problems.push({ name: 'payloadField', problem: 'needed because PAYLOAD_FORMAT is raw' });
  }
  if ((settings.mqttCertFile === undefined) !== (settings.mqttKeyFile === undefined)) {
    const name = settings.mqttCertFile === undefined ? 'mqttCertFile' : 'mqttKeyFile';
    problems.push({ name, problem: 'a client certificate needs both MQTT_CERT_FILE and MQTT_KEY_FILE' });
  }
  if (settings.claimIdleMs <= 2 * settings.mqttPublishTimeoutMs) {
    problems.push({
      name: 'claimIdleMs',
      problem: 'must be more than twice MQTT_PUBLISH_TIMEOUT_MS, or entries in flight would be taken over',
    });
  }
  if (settings.redisMode === 'cluster' && settings.redisDbs.some((db) => db !== 0)) {
    problems.push({ name: 'redisDbs', problem: 'a Redis cluster has database 0 only' });
  }
  if (!settings.autoDiscovery && settings.redisStreams.length === 0) {
    problems.push({ name: 'redisStreams', problem: 'needed because STREAM_AUTO_DISCOVERY is false' });
  }
  return problems;
}

/** What is missing before the bridge can be made at all, as a sentence. */
export function missingSettings(settings: BridgeSettings): string | undefined {
  if (
    settings.sink === 'mqtt' &&
    settings.mqttBrokers.length === 0 &&
    settings.mqttBrokerHost === undefined
  ) {
    return 'the broker is not set: set MQTT_BROKER_HOST or MQTT_BROKERS in the environment, or the desired property "mqttBrokers"';
  }
  return missingRedis(settings);
}

export function brokerAddresses(settings: BridgeSettings): readonly BrokerAddress[] {
  if (settings.mqttBrokers.length === 0) {
    return [
      addressOf(settings.mqttUseTls ? 'tls' : 'tcp', settings.mqttBrokerHost ?? '', settings.mqttBrokerPort),
    ];
  }
  return settings.mqttBrokers.flatMap((given) => {
    const result = parseBroker(given);
    return 'address' in result ? [result.address] : [];
  });
}

export function databasesOf(settings: BridgeSettings): readonly number[] {
  return settings.redisDbs.length > 0 ? settings.redisDbs : [redisTarget(settings).db];
}

/** The seed's fixed names are for a single instance; one that carries a name of its own gets names of its own. */
export function instanceSuffix(kind: string, instance: string): string {
  return instance === kind ? '' : instance;
}
