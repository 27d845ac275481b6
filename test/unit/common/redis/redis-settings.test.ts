import { deepEqual, equal, match, ok, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { checkRedis, missingRedis, redisFields, redisTarget } from '@iotedge-redis/common';
import type { RedisSettings } from '@iotedge-redis/common';

const defaults: RedisSettings = {
  endpoint: undefined,
  redisMode: 'standalone',
  redisHost: undefined,
  redisPort: 6379,
  redisDb: 0,
  redisUsername: undefined,
  redisPassword: undefined,
  redisTls: false,
  redisCaFile: undefined,
  redisCertFile: undefined,
  redisKeyFile: undefined,
  redisTlsServerName: undefined,
  redisSentinels: [],
  redisSentinelMaster: 'mymaster',
  redisSentinelPassword: undefined,
  redisCommandTimeoutMs: 2500,
  redisConnectTimeoutMs: 2000,
};

test('declares the defaults that these tests start from', () => {
  const declared = Object.fromEntries(
    Object.entries(redisFields).map(([name, field]) => [name, field.default]),
  );
  deepEqual(declared, { ...defaults });
});

test('asks for an endpoint by name when nothing says where Redis is', () => {
  match(missingRedis(defaults) ?? '', /^endpoint is not set: .*REDIS_HOST/);
  equal(missingRedis({ ...defaults, redisHost: 'redis' }), undefined);
  equal(missingRedis({ ...defaults, endpoint: 'redis' }), undefined);
  equal(missingRedis({ ...defaults, redisMode: 'sentinel', redisSentinels: ['s'] }), undefined);
});

test('lets the endpoint replace host, port, TLS and database together', () => {
  const environment = { ...defaults, redisHost: 'old', redisPort: 1, redisDb: 7, redisTls: true };
  const target = redisTarget({ ...environment, endpoint: 'new:2' });
  deepEqual([target.place, target.db, target.tls], [{ host: 'new', port: 2 }, 0, undefined]);
  const back = redisTarget(environment);
  deepEqual([back.place, back.db, back.tls], [{ host: 'old', port: 1 }, 7, {}]);
});

test('keeps user and password of the environment unless the endpoint brings its own', () => {
  const settings = { ...defaults, redisUsername: 'a', redisPassword: 'b' };
  const kept = redisTarget({ ...settings, endpoint: 'h:1' });
  deepEqual([kept.username, kept.password], ['a', 'b']);
  const own = redisTarget({ ...settings, endpoint: 'redis://c:d@h:1' });
  deepEqual([own.username, own.password], ['c', 'd']);
});

test('refuses an endpoint that cannot be read, without repeating it', () => {
  throws(
    () => redisFields.endpoint.fromText('redis://u:s3cret@:99999'),
    (error: Error) => !error.message.includes('s3cret'),
  );
  equal(redisFields.endpoint.fromJson(' redis:1 '), 'redis:1');
});

const wrong: readonly (readonly [settings: Partial<RedisSettings>, name: string])[] = [
  [{ redisMode: 'sentinel' }, 'redisSentinels'],
  [{ redisSentinels: ['a'] }, 'redisSentinels'],
  [{ redisMode: 'sentinel', redisSentinels: ['a'], endpoint: 'b' }, 'endpoint'],
  [{ redisMode: 'sentinel', redisSentinels: ['a:b:c:zz'] }, 'redisSentinels'],
  [{ redisCertFile: 'c.pem' }, 'redisKeyFile'],
  [{ redisKeyFile: 'k.pem' }, 'redisCertFile'],
  [{ redisMode: 'cluster', redisHost: 'h', redisDb: 1 }, 'redisDb'],
  [{ redisMode: 'cluster', endpoint: 'redis://h/1' }, 'endpoint'],
];

for (const [settings, name] of wrong) {
  test(`finds the mistake in ${JSON.stringify(settings)}`, () => {
    const mistakes = checkRedis({ ...defaults, ...settings });
    deepEqual(
      mistakes.map((mistake) => mistake.name),
      [name],
    );
    ok((mistakes[0]?.problem ?? '').length > 10);
  });
}

test('finds nothing wrong with each way to deploy Redis', () => {
  deepEqual(checkRedis({ ...defaults, endpoint: 'h' }), []);
  deepEqual(checkRedis({ ...defaults, redisMode: 'cluster', redisHost: 'h' }), []);
  const sentinel: RedisSettings = {
    ...defaults,
    redisMode: 'sentinel',
    redisSentinels: ['a', 'b:1', '[::1]:2'],
  };
  deepEqual(checkRedis(sentinel), []);
  deepEqual(redisTarget(sentinel).sentinels, [
    { host: 'a', port: 26379 },
    { host: 'b', port: 1 },
    { host: '::1', port: 2 },
  ]);
});
