import { deepEqual, equal, match } from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import { createCertificates } from '../../local-edge/src/certificates.ts';
import type { IngestSettings } from '../../modules/kafka-ingest/src/settings.ts';
import { startHttpProxy } from '../helpers/http-proxy.ts';
import { ingestPart } from '../helpers/ingest-part.ts';
import type { IngestPart } from '../helpers/ingest-part.ts';
import { startKafka } from '../helpers/kafka.ts';
import type { TestKafka } from '../helpers/kafka.ts';
import { freePort, startRedis } from '../helpers/redis.ts';
import type { TestRedis } from '../helpers/redis.ts';

const folder = mkdtempSync(join(tmpdir(), 'kafka-tls-'));
const file = (name: string): string => join(folder, name);
const PASSWORD = 'a password';
let kafka: TestKafka;
let redis: TestRedis;
let places: { sasl: string; tls: string };

before(async () => {
  const certificates = await createCertificates(folder);
  const client = await certificates.issue({
    commonName: 'kafka-ingest',
    names: ['localhost'],
    use: 'client',
    expires: new Date(Date.now() + 3_600_000),
  });
  writeFileSync(file('broker.pem'), certificates.serverKeyPem + certificates.serverCertPem);
  writeFileSync(file('client.pem'), client.certificatePem);
  writeFileSync(file('client-key.pem'), client.privateKeyPem);
  const [sasl, tls] = [await freePort(), await freePort()];
  const modules = 'org.apache.kafka.common.security';
  const login = 'listener.name.sasl';
  [kafka, redis] = await Promise.all([
    startKafka(undefined, {
      listeners: [
        { name: 'SASL', port: sasl, protocol: 'SASL_PLAINTEXT' },
        { name: 'TLS', port: tls, protocol: 'SSL' },
      ],
      formatArguments: ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => [
        '--add-scram',
        `${mechanism}=[name=reader,password=${PASSWORD}]`,
      ]),
      properties: {
        [`${login}.sasl.enabled.mechanisms`]: 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
        [`${login}.plain.sasl.jaas.config`]: `${modules}.plain.PlainLoginModule required user_reader="${PASSWORD}";`,
        [`${login}.scram-sha-256.sasl.jaas.config`]: `${modules}.scram.ScramLoginModule required;`,
        [`${login}.scram-sha-512.sasl.jaas.config`]: `${modules}.scram.ScramLoginModule required;`,
        [`${login}.oauthbearer.sasl.jaas.config`]: `${modules}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`,
        'listener.name.tls.ssl.client.auth': 'required',
        'listener.name.tls.ssl.keystore.type': 'PEM',
        'listener.name.tls.ssl.keystore.location': file('broker.pem'),
        'listener.name.tls.ssl.truststore.type': 'PEM',
        'listener.name.tls.ssl.truststore.location': certificates.caFile,
      },
    }),
    startRedis(undefined),
  ]);
  places = { sasl: `127.0.0.1:${sasl}`, tls: `127.0.0.1:${tls}` };
});
after(async () => {
  await Promise.all([kafka.stop(), redis.stop()]);
  rmSync(folder, { recursive: true, force: true });
});

async function reads(t: TestContext, settings: Partial<IngestSettings>): Promise<IngestPart> {
  const part = await ingestPart(t, { kafka, redis, settings });
  await kafka.produce(part.topic, [{ key: part.topic, value: '{"n":1}' }]);
  await part.start();
  await part.settled();
  equal(await part.client.hget(part.topic, 'n'), '1');
  return part;
}

async function refusal(t: TestContext, settings: Partial<IngestSettings>): Promise<string> {
  const part = await ingestPart(t, { kafka, redis, settings });
  return String(await part.ingest.start(AbortSignal.timeout(20_000)).catch((thrown: unknown) => thrown));
}

for (const saslMechanism of ['plain', 'scram-sha-256', 'scram-sha-512'] as const) {
  test(`it logs in to Kafka with ${saslMechanism}, and a wrong password is named as such and not shown`, async (t) => {
    const login = { brokers: [places.sasl], saslMechanism, saslUsername: 'reader' };
    await reads(t, { ...login, saslPassword: PASSWORD });
    const error = await refusal(t, { ...login, saslPassword: 'hunter2' });
    match(error, /Kafka refuses the login/);
    equal(error.includes('hunter2'), false);
  });
}

/** Gives any client a token that the broker takes; `asked` has what it was shown. */
async function tokenEndpoint(t: TestContext): Promise<{ readonly url: string; readonly asked: string[] }> {
  const asked: string[] = [];
  const endpoint = createServer((request, response) => {
    asked.push(String(request.headers.authorization));
    const now = Math.floor(Date.now() / 1000);
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const token = `${part({ alg: 'none' })}.${part({ sub: 'reader', iat: now, exp: now + 3600 })}.`;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ access_token: token, token_type: 'Bearer', expires_in: 3600 }));
  }).listen(0, '127.0.0.1');
  await once(endpoint, 'listening');
  t.after(() => endpoint.close());
  const address = endpoint.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { url: `http://127.0.0.1:${port}/token`, asked };
}

const oauth = (url: string): Partial<IngestSettings> => ({
  brokers: [places.sasl],
  saslMechanism: 'oauthbearer',
  oauthTokenEndpoint: url,
  oauthClientId: 'edge',
  oauthClientSecret: 'secret',
});

test('it logs in to Kafka with a token that the endpoint gives for client credentials', async (t) => {
  const { url, asked } = await tokenEndpoint(t);
  await reads(t, oauth(url));
  equal(asked[0], `Basic ${Buffer.from('edge:secret').toString('base64')}`);
});

test('AM-6: the token endpoint is reached through the proxy, unless NO_PROXY names its host; Kafka and Redis are not', async (t) => {
  const { url } = await tokenEndpoint(t);
  const proxy = await startHttpProxy(t);
  await reads(t, { ...oauth(url), httpProxy: proxy.url });
  deepEqual([...new Set(proxy.asked)], [`POST ${url}`]);
  const before = proxy.asked.length;
  await reads(t, { ...oauth(url), httpProxy: proxy.url, noProxy: 'example.org,127.0.0.1' });
  equal(proxy.asked.length, before);
  match(
    await refusal(t, { ...oauth('https://login.example.org/token'), httpsProxy: proxy.url }),
    /the endpoint does not answer; check KAFKA_OAUTH_TOKEN_ENDPOINT and HTTPS_PROXY/,
  );
  equal(proxy.asked.at(-1), 'CONNECT login.example.org:443');
});

test('it talks TLS to Kafka and shows its client certificate; a broker that it does not trust is named as such', async (t) => {
  const own = { kafkaTls: true, kafkaCertFile: file('client.pem'), kafkaKeyFile: file('client-key.pem') };
  await reads(t, { brokers: [places.tls], ...own, kafkaCaFile: file('ca.pem') });
  match(await refusal(t, { brokers: [places.tls], ...own }), /not trusted; set KAFKA_CA_FILE/);
});

test('RD-22: the Redis user of the README is enough for everything that the module does', async (t) => {
  const part = await ingestPart(t, {
    kafka,
    redis,
    settings: {
      redisUsername: 'kafka-ingest',
      redisPassword: 'x',
      notify: 'json',
      suppressUnchanged: true,
      indexKey: 'acl:index',
      ttlSeconds: 100,
    },
  });
  const rules =
    '~* &* +ping +info +select +eval +evalsha +get +set +del +type +exists +hget +hset +hdel +hmget +hgetall +hexists +pexpire +sadd +srem +publish +xadd +xlen +xrange +xrevrange +xdel';
  await part.client.call('ACL', ['SETUSER', 'kafka-ingest', 'on', '>x', ...rules.split(' ')]);
  const key = part.topic;
  await kafka.produce(part.topic, [
    { key, value: '{"a":1,"b":null}' },
    { key, value: 'bad' },
    { key: `${key}:gone`, value: null },
  ]);
  await part.start();
  await part.settled();
  part.applyLive({
    redisUsername: 'kafka-ingest',
    redisPassword: 'x',
    valueMode: 'string',
    indexKey: 'acl:index',
    suppressUnchanged: true,
  });
  equal((await part.call('ReplayDeadLetters', { topic: part.topic })).status, 200);
  equal(await part.client.get(key), 'bad');
  equal(part.ingest.health().state, 'ok');
});

test('KI-13 KI-14: what the Redis user may not do makes no dead letters: the partition waits, says so, and goes on when it may', async (t) => {
  const settings = { redisUsername: 'narrow', redisPassword: 'x', indexKey: 'narrow:index' };
  const part = await ingestPart(t, { kafka, redis, settings });
  const allow = (rule: string): Promise<unknown> =>
    part.client.call('ACL', ['SETUSER', 'narrow', 'on', '>x', '~*', '&*', ...rule.split(' ')]);
  await allow('+@all -sadd');
  const before = await part.client.xlen('dlq:kafka-ingest');
  await kafka.produce(
    part.topic,
    [0, 1, 2].map((n) => ({ key: `${part.topic}:${n}`, value: `{"n":${n}}` })),
  );
  await part.start();
  await part.until('it says what is refused', () =>
    (part.ingest.health().detail ?? '').includes('check its ACL'),
  );
  await allow('+sadd');
  await part.settled();
  equal(await part.client.xlen('dlq:kafka-ingest'), before);
  for (const n of [0, 1, 2]) equal(await part.client.hget(`${part.topic}:${n}`, 'n'), String(n));
});
