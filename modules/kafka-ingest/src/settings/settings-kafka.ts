import { choice, custom, FieldProblem, flag, integer, list, text } from '@iotedge-redis/common';

const TOPIC = /^[a-zA-Z0-9._-]{1,249}$/;

/** Names, and patterns between slashes. */
function topics(given: readonly string[]): readonly string[] {
  for (const each of given) {
    const pattern = patternOf(each);
    if (pattern === null || (pattern === undefined && !TOPIC.test(each)))
      throw new FieldProblem('expected names of topics, or regular expressions as in /^site-.*$/');
  }
  return [...new Set(given)];
}

/** The expression of `/…/`; null when it is not one, undefined when it is a name. */
export function patternOf(topic: string): RegExp | null | undefined {
  if (!topic.startsWith('/')) return undefined;
  if (topic.length < 3 || !topic.endsWith('/')) return null;
  try {
    return new RegExp(topic.slice(1, -1), 'u');
  } catch {
    return null;
  }
}

function split(given: string): string[] {
  return given
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/** Where the records come from. */
export const kafkaFields = {
  topics: custom<readonly string[]>({
    env: 'KAFKA_TOPIC',
    twin: 'topics',
    type: 'names of topics or /patterns/, separated by commas (in the twin: an array)',
    default: [],
    description:
      'Topics to read; a regular expression between slashes takes all topics that match, looked for once a minute. A pattern with a comma needs the array of the twin.',
    fromText: (given) => topics(split(given)),
    fromJson(value) {
      if (typeof value === 'string') return this.fromText(value);
      if (!Array.isArray(value) || !value.every((item) => typeof item === 'string'))
        throw new FieldProblem('expected an array of names of topics');
      return topics(value);
    },
  }),
  brokers: list({
    env: ['KAFKA_BROKER', 'KAFKA_BROKERS'],
    twin: 'brokers',
    default: [],
    description: 'Brokers to begin with, as host:port; they name the others.',
  }),
  group: text({
    env: 'KAFKA_GROUP',
    twin: 'group',
    default: 'kafka-ingest',
    pattern: /^[^{}]{1,200}$/,
    form: 'a name without braces',
    description:
      'Consumer group. Instances with the same one share the partitions; positions in Redis carry it.',
  }),
  kafkaTls: flag({
    env: ['KAFKA_SSL', 'KAFKA_TLS'],
    default: false,
    description: 'TLS towards Kafka.',
  }),
  kafkaCaFile: text({
    env: 'KAFKA_CA_FILE',
    description: 'File with the CA certificates (PEM) that Kafka is trusted by; else the ones of Node.',
  }),
  kafkaCertFile: text({
    env: 'KAFKA_CERT_FILE',
    description: 'Client certificate (PEM) for Kafka; needs KAFKA_KEY_FILE.',
  }),
  kafkaKeyFile: text({ env: 'KAFKA_KEY_FILE', description: 'Private key (PEM) of the client certificate.' }),
  kafkaTlsServerName: text({
    env: 'KAFKA_TLS_SERVER_NAME',
    description: "Name to expect in the brokers' certificates; default: the host of each.",
  }),
  saslMechanism: choice({
    env: 'KAFKA_SASL_MECHANISM',
    choices: ['none', 'plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer'],
    default: 'none',
    description: 'How to log in. Event Hubs: `plain` with the user `$ConnectionString`, and KAFKA_SSL.',
  }),
  saslUsername: text({ env: 'KAFKA_SASL_USERNAME', description: 'User for plain and scram.' }),
  saslPassword: text({
    env: 'KAFKA_SASL_PASSWORD',
    secret: true,
    description: 'Password for plain and scram; KAFKA_SASL_PASSWORD_FILE names a file that holds it.',
  }),
  oauthTokenEndpoint: text({
    env: 'KAFKA_OAUTH_TOKEN_ENDPOINT',
    pattern: /^https?:\/\/\S+$/,
    form: 'an http:// or https:// address',
    description: 'Where oauthbearer gets its tokens (client credentials).',
  }),
  oauthClientId: text({ env: 'KAFKA_OAUTH_CLIENT_ID', description: 'Client for the token.' }),
  oauthClientSecret: text({
    env: 'KAFKA_OAUTH_CLIENT_SECRET',
    secret: true,
    description: 'Secret of the client; KAFKA_OAUTH_CLIENT_SECRET_FILE names a file that holds it.',
  }),
  oauthScope: text({ env: 'KAFKA_OAUTH_SCOPE', description: 'Scope to ask for.' }),
  httpsProxy: text({
    env: 'HTTPS_PROXY',
    secret: true,
    description:
      'Proxy to an https:// token endpoint, as http://host:port. Kafka and Redis are reached without one.',
  }),
  httpProxy: text({ env: 'HTTP_PROXY', secret: true, description: 'The same to an http:// one.' }),
  noProxy: text({ env: 'NO_PROXY', description: 'Hosts that are reached without the proxy.' }),
  sessionTimeoutMs: integer({
    env: 'KAFKA_SESSION_TIMEOUT_MS',
    min: 500,
    max: 300_000,
    default: 10_000,
    unit: 'ms',
    description: 'An instance that is silent for longer loses its partitions to the others.',
  }),
  kafkaRequestTimeoutMs: integer({
    env: 'KAFKA_REQUEST_TIMEOUT_MS',
    min: 1000,
    max: 300_000,
    default: 15_000,
    unit: 'ms',
    description: 'How long Kafka may take to answer a request.',
  }),
  kafkaConnectTimeoutMs: integer({
    env: 'KAFKA_CONNECT_TIMEOUT_MS',
    min: 100,
    max: 60_000,
    default: 5000,
    unit: 'ms',
    description: 'How long one attempt to connect to a broker may take.',
  }),
  fetchWaitMs: integer({
    env: 'KAFKA_FETCH_WAIT_MS',
    twin: 'fetchWaitMs',
    min: 10,
    max: 10_000,
    default: 500,
    unit: 'ms',
    description:
      'How long a broker may hold back an empty answer. Records are delivered at once; this is the pace of empty answers, which metered links pay for.',
  }),
  fetchBytes: integer({
    env: 'KAFKA_FETCH_BYTES',
    twin: 'fetchBytes',
    min: 16_384,
    max: 52_428_800,
    default: 524_288,
    unit: 'bytes',
    description:
      'Most bytes of one partition in one answer; two such answers may wait in memory per partition.',
  }),
  fetchTotalBytes: integer({
    env: 'KAFKA_FETCH_TOTAL_BYTES',
    min: 65_536,
    max: 104_857_600,
    default: 2_097_152,
    unit: 'bytes',
    description: 'Most bytes of one answer over all partitions.',
  }),
  onMissingPosition: choice({
    env: 'ON_MISSING_POSITION',
    twin: 'onMissingPosition',
    choices: ['earliest', 'committed', 'latest'],
    default: 'earliest',
    live: true,
    description:
      'Where to begin when Redis has no position, as when it is new or was wiped: the first record (which fills it again), the offset that Kafka keeps for the group, or the end.',
  }),
  onOffsetMismatch: choice({
    env: 'ON_OFFSET_MISMATCH',
    twin: 'onOffsetMismatch',
    choices: ['earliest', 'latest', 'stop'],
    default: 'earliest',
    live: true,
    description:
      'Where to go on when the position does not fit: the topic was made anew, is read from another cluster, or has lost records. It is reported in any case; `stop` waits for the method Resume.',
  }),
};
