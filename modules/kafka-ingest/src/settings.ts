import { checkRedis, missingRedis, parsePlace, redisFields, redisTarget } from '@iotedge-redis/common';
import type { SettingsOf } from '@iotedge-redis/common';
import { toBinary } from './shape/binary-text.ts';
import { isOwnKey } from './shape/own-keys.ts';
import { kafkaFields } from './settings/settings-kafka.ts';
import { shapeFields } from './settings/settings-shape.ts';
import type { Shape } from './shape/shape.ts';
import { Template } from './shape/template.ts';

export const fields = { ...redisFields, ...kafkaFields, ...shapeFields };

export type IngestSettings = SettingsOf<typeof fields>;

interface Problem {
  name: keyof IngestSettings;
  problem: string;
}

/** Mistakes that only several settings together make. */
export function checkSettings(settings: IngestSettings): Problem[] {
  const problems: Problem[] = [...checkRedis(settings), ...checkKafka(settings)];
  if (settings.redisMode === 'cluster') {
    problems.push({
      name: 'redisMode',
      problem:
        'kafka-ingest does not work with a Redis cluster, where one step cannot reach all keys; use standalone or sentinel',
    });
  }
  if (settings.memoryLowPercent > settings.memoryHighPercent) {
    problems.push({ name: 'memoryLowPercent', problem: 'must not be above MEMORY_HIGH_PERCENT' });
  }
  if (settings.indexKey !== undefined && isOwnKey(settings.indexKey)) {
    problems.push({
      name: 'indexKey',
      problem: 'is a key that is kept for this suite itself; choose another',
    });
  }
  const isHash = settings.valueMode === 'hash' || settings.valueMode === 'hash-replace';
  if (!isHash && settings.excludeFields.length > 0) {
    problems.push({ name: 'excludeFields', problem: 'only a hash has fields: set VALUE_MODE to hash' });
  }
  return problems;
}

function checkKafka(settings: IngestSettings): Problem[] {
  const problems: Problem[] = [];
  const need = (name: keyof IngestSettings, problem: string): void => void problems.push({ name, problem });
  for (const broker of settings.brokers) {
    const place = parsePlace(broker, 9092);
    if ('problem' in place) need('brokers', `each one is host:port: ${place.problem}`);
  }
  if ((settings.kafkaCertFile === undefined) !== (settings.kafkaKeyFile === undefined)) {
    const name = settings.kafkaCertFile === undefined ? 'kafkaCertFile' : 'kafkaKeyFile';
    need(name, 'a client certificate needs both KAFKA_CERT_FILE and KAFKA_KEY_FILE');
  }
  if (!settings.kafkaTls && (settings.kafkaCaFile ?? settings.kafkaCertFile) !== undefined)
    need('kafkaTls', 'needed because a certificate is set: set KAFKA_SSL to true');
  const { saslMechanism: mechanism } = settings;
  if (mechanism === 'oauthbearer') {
    for (const name of ['oauthTokenEndpoint', 'oauthClientId', 'oauthClientSecret'] as const)
      if (settings[name] === undefined) need(name, 'needed because KAFKA_SASL_MECHANISM is oauthbearer');
  } else if (mechanism !== 'none') {
    for (const name of ['saslUsername', 'saslPassword'] as const)
      if (settings[name] === undefined) need(name, `needed because KAFKA_SASL_MECHANISM is ${mechanism}`);
  } else if (settings.saslUsername !== undefined) {
    need('saslMechanism', 'needed because KAFKA_SASL_USERNAME is set');
  }
  return problems;
}

/** What is missing before anything can be read at all, as a sentence. */
export function missingSettings(settings: IngestSettings): string | undefined {
  if (settings.brokers.length === 0)
    return 'Kafka is not set: set KAFKA_BROKER (host:port) in the environment, or the desired property "brokers"';
  if (settings.topics.length === 0)
    return 'no topic is set: set KAFKA_TOPIC in the environment, or the desired property "topics"';
  return missingRedis(settings);
}

/** Brokers with their ports. */
export function brokerPlaces(settings: IngestSettings): string[] {
  return settings.brokers.flatMap((given) => {
    const place = parsePlace(given, 9092);
    if ('problem' in place) return [];
    return [place.host.includes(':') ? `[${place.host}]:${place.port}` : `${place.host}:${place.port}`];
  });
}

/** The settings as what is done with each record. */
export function shapeOf(settings: IngestSettings): Shape {
  const { indexKey, indexMember, tombstoneIndexMember, keyTemplate, channelTemplate } = settings;
  const member = new Template(indexMember);
  return {
    key: new Template(keyTemplate),
    tombstoneKey: new Template(settings.tombstoneKeyTemplate ?? keyTemplate),
    mode: settings.valueMode,
    nested: settings.nested,
    excluded: new Set(settings.excludeFields),
    index:
      indexKey === undefined
        ? undefined
        : {
            key: indexKey,
            keyBytes: toBinary(indexKey),
            member,
            tombstoneMember: tombstoneIndexMember === undefined ? member : new Template(tombstoneIndexMember),
          },
    ttl: { seconds: settings.ttlSeconds, header: settings.ttlHeader, field: settings.ttlField },
    channel: channelTemplate === undefined ? undefined : new Template(channelTemplate),
    payload: settings.notify,
    suppressUnchanged: settings.suppressUnchanged,
    changesLength: settings.changesLength,
    onError: settings.onError,
    maxRecordBytes: settings.maxRecordBytes,
    deadLetterMax: settings.deadLetterMax,
    db: redisTarget(settings).db,
  };
}
