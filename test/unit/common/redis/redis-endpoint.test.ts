import { deepEqual, doesNotMatch, equal, match, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { formatEndpoint, parseEndpoint } from '@iotedge-redis/common';
import fc from 'fast-check';

const good: readonly (readonly [text: string, endpoint: object])[] = [
  ['redis', { host: 'redis', port: 6379, db: 0, tls: false }],
  ['redis:6380', { host: 'redis', port: 6380, db: 0, tls: false }],
  ['  192.168.2.6:6379  ', { host: '192.168.2.6', port: 6379, db: 0, tls: false }],
  ['my_redis.local:1', { host: 'my_redis.local', port: 1, db: 0, tls: false }],
  ['[::1]:6380', { host: '::1', port: 6380, db: 0, tls: false }],
  ['[fd00::2]', { host: 'fd00::2', port: 6379, db: 0, tls: false }],
  ['fd00::2', { host: 'fd00::2', port: 6379, db: 0, tls: false }],
  ['fe80::1%eth0', { host: 'fe80::1%eth0', port: 6379, db: 0, tls: false }],
  ['redis://h', { host: 'h', port: 6379, db: 0, tls: false }],
  ['redis://h/', { host: 'h', port: 6379, db: 0, tls: false }],
  ['rediss://h:6390/3', { host: 'h', port: 6390, db: 3, tls: true }],
  ['REDISS://h', { host: 'h', port: 6379, db: 0, tls: true }],
  ['redis://[::1]:7/2', { host: '::1', port: 7, db: 2, tls: false }],
  ['redis://:s3cret@h', { host: 'h', port: 6379, db: 0, tls: false, password: 's3cret' }],
  ['redis://u:a%40b%3Ac@h', { host: 'h', port: 6379, db: 0, tls: false, username: 'u', password: 'a@b:c' }],
  ['redis://u:p@x:y@h:1', { host: 'h', port: 1, db: 0, tls: false, username: 'u', password: 'p@x:y' }],
  ['redis://u@h', { host: 'h', port: 6379, db: 0, tls: false, username: 'u' }],
];

for (const [text, endpoint] of good) {
  test(`reads the endpoint ${JSON.stringify(text)}`, () => {
    deepEqual(parseEndpoint(text), { endpoint });
  });
}

const bad = [
  ['', /empty/],
  ['   ', /empty/],
  ['redis:', /port/],
  ['redis:0', /port/],
  ['redis:65536', /port/],
  ['redis:6379x', /port/],
  [':6379', /host name/],
  ['a b:1', /white space/],
  ['user:pw@host:1', /unless it starts with redis/],
  ['host/3', /unless it starts with redis/],
  ['http://host', /scheme/],
  ['redis://', /host name/],
  ['redis://h/x', /database number/],
  ['redis://h/1/2', /database number/],
  ['redis://h/70000', /database number/],
  ['redis://h?x=1', /query/],
  ['redis://u:%zz@h', /percent/],
  ['[]:1', /IPv6/],
  ['[zz]:1', /IPv6/],
  ['1:2:3:x:y', /colons/],
  ['192.168.2.6:6379,password=s3cret,ssl=true', /comma/],
  ['-host', /host name/],
] as const;

for (const [text, problem] of bad) {
  test(`refuses the endpoint ${JSON.stringify(text)} and says what is expected`, () => {
    const result = parseEndpoint(text);
    ok('problem' in result);
    match(result.problem, problem);
    doesNotMatch(result.problem, /s3cret|pw@/);
  });
}

test('never shows a password when it writes an endpoint', () => {
  const result = parseEndpoint('rediss://ops:s3cret@h:1/2');
  ok('endpoint' in result);
  equal(formatEndpoint(result.endpoint), 'rediss://ops:***@h:1/2');
});

test('writes an endpoint so that it can be read again', () => {
  const host = fc.oneof(fc.domain(), fc.ipV4(), fc.constantFrom('::1', 'fd00::1:2'));
  const port = fc.integer({ min: 1, max: 65_535 });
  const db = fc.integer({ min: 0, max: 65_535 });
  fc.assert(
    fc.property(host, port, db, fc.boolean(), (name, number, database, tls) => {
      const endpoint = { host: name, port: number, db: database, tls };
      deepEqual(parseEndpoint(formatEndpoint(endpoint)), { endpoint });
    }),
  );
});

test('answers any text without throwing and never repeats a password in it', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const result = parseEndpoint(`redis://u:pw-${'z'.repeat(9)}@${text}`);
      if ('problem' in result) doesNotMatch(result.problem, /zzzzzzzzz/);
    }),
  );
});
