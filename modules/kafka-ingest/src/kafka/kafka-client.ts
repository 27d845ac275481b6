import type { Kafka as KafkaClient, KafkaConfig, SASLOptions } from 'kafkajs';
import type { Log } from '@iotedge-redis/common';
import { readTlsFiles } from '@iotedge-redis/common';
import { registerCodecs } from './codecs.ts';
import { Kafka, logLevel } from './kafka-library.ts';
import { OauthTokens } from './oauth-token.ts';
import { readRecordBatches } from './record-batches.ts';
import type { IngestSettings } from '../settings.ts';
import { brokerPlaces } from '../settings.ts';

/** A fresh client; certificates are read anew. Retries are few: the source makes another client when they are used up. */
export function createKafka(
  settings: IngestSettings,
  clientId: string,
  log: Log,
  now: () => number,
): KafkaClient {
  registerCodecs();
  readRecordBatches();
  return new Kafka({
    clientId: clientId.replaceAll(/[^A-Za-z0-9._-]/g, '_'),
    brokers: brokerPlaces(settings),
    connectionTimeout: settings.kafkaConnectTimeoutMs,
    authenticationTimeout: settings.kafkaRequestTimeoutMs,
    requestTimeout: settings.kafkaRequestTimeoutMs,
    enforceRequestTimeout: true,
    retry: { initialRetryTime: 100, maxRetryTime: 2000, retries: 4 },
    logLevel: logLevel.INFO,
    logCreator: () => (entry) => {
      const { message, error } = entry.log;
      // The library's errors come to us as errors, too; what it says of groups is of use to a reader of debug lines only.
      log.debug('client library', { message, ...(error === undefined ? {} : { error: String(error) }) });
    },
    ...tlsOptions(settings),
    ...saslOptions(settings, now),
  });
}

function tlsOptions(settings: IngestSettings): Pick<KafkaConfig, 'ssl'> {
  if (!settings.kafkaTls) return {};
  const { kafkaCaFile, kafkaCertFile, kafkaKeyFile, kafkaTlsServerName } = settings;
  return {
    ssl: readTlsFiles('KAFKA', {
      ...(kafkaCaFile === undefined ? {} : { caFile: kafkaCaFile }),
      ...(kafkaCertFile === undefined ? {} : { certFile: kafkaCertFile }),
      ...(kafkaKeyFile === undefined ? {} : { keyFile: kafkaKeyFile }),
      ...(kafkaTlsServerName === undefined ? {} : { serverName: kafkaTlsServerName }),
    }),
  };
}

function saslOptions(settings: IngestSettings, now: () => number): Pick<KafkaConfig, 'sasl'> {
  const { saslMechanism: mechanism, saslUsername: username = '', saslPassword: password = '' } = settings;
  if (mechanism === 'none') return {};
  if (mechanism !== 'oauthbearer') return { sasl: { mechanism, username, password } as SASLOptions };
  const tokens = new OauthTokens(
    {
      endpoint: settings.oauthTokenEndpoint ?? '',
      clientId: settings.oauthClientId ?? '',
      clientSecret: settings.oauthClientSecret ?? '',
      scope: settings.oauthScope,
      proxies: {
        HTTP_PROXY: settings.httpProxy,
        HTTPS_PROXY: settings.httpsProxy,
        NO_PROXY: settings.noProxy,
      },
    },
    now,
  );
  return { sasl: { mechanism, oauthBearerProvider: () => tokens.token() } };
}
