import type { Clock, ModuleContext } from '@iotedge-redis/common';
import type { Outgoing } from '../streams/bridged-stream.ts';
import { EdgehubSink } from './edgehub-sink.ts';
import type { Slot } from '../flow/lane.ts';
import { MqttSink } from '../mqtt/mqtt-sink.ts';
import type { Qos } from '../mqtt/mqtt-session.ts';
import type { BridgeSettings } from '../settings.ts';
import { brokerAddresses } from '../settings.ts';
import type { Sink } from './sink.ts';
import { topicFor } from '../shape/topic.ts';

/** Makes the sink that the settings ask for. */
export function createSink(
  settings: BridgeSettings,
  options: {
    readonly context: ModuleContext;
    /** The name of an instance of several; empty for a single one. */
    readonly suffix: string;
    readonly clientId: string;
    readonly clock: Clock;
  },
): Sink<Slot<Outgoing>> {
  const { context, clock } = options;
  if (settings.sink === 'edgehub') {
    return new EdgehubSink({
      edge: context.edge,
      output: settings.edgehubOutput,
      intervalMs: settings.edgehubIntervalMs,
      maxEntries: settings.edgehubMaxEntries,
      maxBytes: settings.edgehubMaxBytes,
      sendTimeoutMs: settings.mqttPublishTimeoutMs,
      log: context.log.child('edgehub'),
      clock,
    });
  }
  const statusTopic = statusTopicOf(settings, context.instance, options.suffix);
  return new MqttSink({
    addresses: brokerAddresses(settings),
    protocol: settings.mqttProtocol === '5' ? 5 : 4,
    clientId: options.clientId,
    ...(settings.mqttUsername === undefined ? {} : { username: settings.mqttUsername }),
    ...(settings.mqttPassword === undefined ? {} : { password: settings.mqttPassword }),
    tls: {
      ...(settings.mqttCaFile === undefined ? {} : { caFile: settings.mqttCaFile }),
      ...(settings.mqttCertFile === undefined ? {} : { certFile: settings.mqttCertFile }),
      ...(settings.mqttKeyFile === undefined ? {} : { keyFile: settings.mqttKeyFile }),
      ...(settings.mqttTlsServerName === undefined ? {} : { serverName: settings.mqttTlsServerName }),
    },
    qos: qosOf(settings.mqttQos),
    retain: settings.mqttRetain,
    keepaliveSeconds: settings.mqttKeepaliveSeconds,
    connectTimeoutMs: settings.mqttConnectTimeoutMs,
    publishTimeoutMs: settings.mqttPublishTimeoutMs,
    ...(statusTopic === undefined ? {} : { statusTopic }),
    properties: {
      contentType: settings.payloadFormat === 'json' ? 'application/json' : 'application/octet-stream',
      expirySeconds: settings.mqttExpirySeconds,
      userProperties: settings.mqttUserProperties,
    },
    log: context.log.child('mqtt'),
    clock,
  });
}

function qosOf(value: number): Qos {
  return value === 0 || value === 2 ? value : 1;
}

/** Several instances with one status topic would announce each other's end. */
export function statusTopicOf(
  settings: Pick<BridgeSettings, 'mqttStatusTopic' | 'mqttBaseTopic'>,
  instance: string,
  suffix: string,
): string | undefined {
  if (settings.mqttStatusTopic === 'none') return undefined;
  const template = settings.mqttStatusTopic;
  const own = suffix === '' || template.includes('{instance}') ? template : `${template}/{instance}`;
  const result = topicFor(own, {
    base: settings.mqttBaseTopic,
    stream: Buffer.alloc(0),
    db: 0,
    instance,
    withDb: false,
  });
  return 'topic' in result ? result.topic : undefined;
}
