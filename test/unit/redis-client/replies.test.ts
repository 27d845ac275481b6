import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { ERROR_CODES, RedisCallError, SuiteError } from '@iotedge-redis/common';
import type { JsonObject, MethodReply } from '@iotedge-redis/common';
import fc from 'fast-check';
import { manyReply } from '../../../modules/redis-client/src/many-reply.ts';
import { describeItem, parseStored, readReply } from '../../../modules/redis-client/src/read-reply.ts';
import { deleted, failure, fits, written } from '../../../modules/redis-client/src/replies.ts';

function payload(reply: MethodReply): JsonObject {
  return reply.payload as JsonObject;
}

function message(reply: MethodReply): string {
  const { Message } = payload(reply);
  return typeof Message === 'string' ? Message : '';
}

test("RC-7: a write is answered with the seed's text and names", () => {
  deepEqual(written('ping', 'pong'), {
    status: 200,
    payload: { Message: "Written:True => key = 'ping', value = 'pong'", Status: 200 },
  });
});

test('RC-7, RC-13: a value of 100 KB is repeated in full, and one that would not fit is not', () => {
  const fitting = 'x'.repeat(100 * 1024);
  match(message(written('k', fitting)), /value = 'x{102400}'$/);
  const escaping = '\u0001'.repeat(30 * 1024);
  match(message(written('k', escaping)), /value of 30720 bytes, too long/);
  match(message(written('\u0001'.repeat(30 * 1024), '')), /key and value are too long/);
  match(message(deleted('\u0001'.repeat(30 * 1024))), /too long/);
});

test('RC-13: every answer to a write fits into a direct method, whatever was written', () => {
  const long = fc.tuple(fc.string({ unit: 'binary', minLength: 1 }), fc.integer({ min: 1, max: 40_000 }));
  fc.assert(
    fc.property(long, long, ([a, times], [b, more]) => {
      const key = a.repeat(Math.ceil(times / a.length));
      const value = b.repeat(Math.ceil(more / b.length));
      ok(fits(written(key, value, { ETag: 'e'.repeat(40) }).payload));
    }),
    { numRuns: 50 },
  );
});

const statuses: Readonly<Record<string, number>> = {
  DATA_INVALID: 400,
  REDIS_DENIED: 403,
  NOT_FOUND: 404,
  CONFLICT: 409,
  REDIS_WRONG_TYPE: 409,
  TOO_LARGE: 413,
  REDIS_UNAVAILABLE: 503,
  REDIS_LOADING: 503,
  REDIS_READONLY: 503,
  REDIS_OOM: 503,
  REDIS_DISK_FULL: 503,
  REDIS_NO_REPLICAS: 503,
  REDIS_CLUSTER_DOWN: 503,
  REDIS_BUSY: 503,
  REDIS_TRY_AGAIN: 503,
  REDIS_AUTH: 503,
  STOPPED: 503,
  REDIS_TIMEOUT: 504,
};

for (const code of ERROR_CODES) {
  test(`RC-10: answers ${code} with ${statuses[code] ?? 500}`, () => {
    const reply = failure('SetItem', new SuiteError(code, 'doing: reason'), true);
    equal(reply.status, statuses[code] ?? 500);
    equal(payload(reply)['Status'], reply.status);
  });
}

test("RC-10: keeps the seed's texts at the beginning", () => {
  const down = new SuiteError('REDIS_UNAVAILABLE', 'connecting to redis:6379: nothing listens there');
  equal(payload(failure('SetItem', down, true))['Message'], `No connection to Redis server: ${down.message}`);
  equal(
    payload(failure('GetItem', down, false))['Message'],
    `No connection to Redis server available: ${down.message}`,
  );
  equal(
    payload(failure('GetItem', new SuiteError('NOT_FOUND', 'x'), false))['Message'],
    'No value available in Redis',
  );
  equal(payload(failure('SetItem', new SuiteError('INTERNAL', 'x'), true))['Message'], 'SetItem error: x');
});

test('RC-9: says that a write may have happened when that is not known, and only then', () => {
  const late = new SuiteError('REDIS_TIMEOUT', 'no answer');
  const said = (outcome: RedisCallError['outcome'], isWrite: boolean): string =>
    message(failure('SetItem', new RedisCallError(late, 'no answer', outcome), isWrite));
  match(said('unknown', true), /may or may not have happened$/);
  equal(said('unknown', false), 'SetItem error: no answer');
  equal(said('refused', true), 'SetItem error: no answer');
});

test('answers 503 when a request was never sent, whatever kept Redis away', () => {
  const reason = new SuiteError('DATA_INVALID', 'no such database');
  equal(failure('SetItem', new RedisCallError(reason, 'x', 'unsent'), true).status, 503);
});

const b = (text: string): Buffer => Buffer.from(text);

const stored: readonly (readonly [reply: unknown[], message: string, extras: JsonObject])[] = [
  [
    [b('string'), -1, 4, b('pong')],
    'pong',
    { ETag: '0e514a0662bcb69dc863953d1ce26e3d40e81a87', Type: 'string' },
  ],
  [
    [b('string'), 1500, 0, b('')],
    '',
    { ETag: 'da39a3ee5e6b4b0d3255bfef95601890afd80709', Type: 'string', TtlSeconds: 2 },
  ],
  [
    [b('string'), -1, 2, Buffer.from([0xff, 0x00])],
    '/wA=',
    { ETag: 'd5b3c56f29ea8e6b4d2c80f8dd5ba3e5e1ff7bb5', Type: 'string', Encoding: 'base64' },
  ],
  [
    [b('hash'), -1, 2, [b('a'), b('1'), b('__proto__'), b('2')]],
    '{"a":"1","__proto__":"2"}',
    { Type: 'hash' },
  ],
  [
    [b('hash'), -1, 1, [b('a'), Buffer.from([0xff])]],
    '{"YQ==":"/w=="}',
    { Type: 'hash', Encoding: 'base64' },
  ],
  [[b('list'), -1, 2, [b('a'), b('b')]], '["a","b"]', { Type: 'list' }],
  [[b('set'), -1, 1, [b('a')]], '["a"]', { Type: 'set' }],
  [
    [b('zset'), -1, 2, [b('a'), b('1.5'), b('b'), b('inf')]],
    '[{"member":"a","score":1.5},{"member":"b","score":"inf"}]',
    { Type: 'zset' },
  ],
  [
    [b('stream'), -1, 1, [[b('1-0'), [b('f'), b('1'), b('f'), b('2')]]]],
    '[{"id":"1-0","fields":[["f","1"],["f","2"]]}]',
    { Type: 'stream' },
  ],
];

for (const [reply, message, extras] of stored) {
  test(`RC-31: reads a ${String(reply[0])} as ${message}`, () => {
    const item = parseStored(reply);
    ok(item);
    const described = describeItem(item);
    equal(described.message, message);
    const { ETag, ...others } = described.extras;
    const { ETag: expected, ...rest } = extras;
    deepEqual(others, rest);
    equal(typeof ETag, typeof expected);
    if ('Encoding' in extras) match(typeof ETag === 'string' ? ETag : '0'.repeat(40), /^[0-9a-f]{40}$/);
    else equal(ETag, expected);
  });
}

test('RC-30: the string form answers nothing but Message and Status', () => {
  const item = parseStored([b('hash'), 5000, 1, [b('a'), b('1')]]);
  ok(item);
  deepEqual(readReply(item, 'string').payload, { Message: '{"a":"1"}', Status: 200 });
  deepEqual(Object.keys(payload(readReply(item, 'object'))), ['Message', 'Status', 'Type', 'TtlSeconds']);
});

test('RC-14: what does not fit as JSON is too large, although its bytes would fit', () => {
  const bytes = Buffer.alloc(60_000, 1);
  const item = parseStored([b('string'), -1, bytes.length, bytes]);
  ok(item);
  let code = '';
  try {
    readReply(item, 'string');
  } catch (error) {
    code = error instanceof SuiteError ? error.code : '';
  }
  equal(code, 'TOO_LARGE');
});

test('RC-25: the status of many is the largest of any', () => {
  const reply = manyReply('read', [
    { Key: 'a', Status: 200, Value: '1' },
    { Key: 'b', Status: 404, Message: 'x' },
  ]);
  equal(reply.status, 404);
  equal(payload(reply)['Message'], '1 of 2 items read');
  equal(manyReply('read', [{ Key: 'a', Status: 200 }]).status, 200);
});

test('RC-13: a reply with many items always fits, and says what it leaves out', () => {
  const items = Array.from({ length: 10 }, (_, i) => ({
    Key: `k${i}`,
    Status: 200,
    Value: 'x'.repeat(20_000),
  }));
  const read = manyReply('read', items);
  ok(fits(read.payload));
  equal(read.status, 413);
  match(message(read), /^[456] of 10 items read$/);
  const keys = Array.from({ length: 1000 }, (_, i) => ({
    Key: `${i}`.padEnd(120, 'k'),
    Status: 200,
    ETag: 'e'.repeat(40),
  }));
  const write = manyReply('written', keys);
  ok(fits(write.payload));
  match(message(write), /^1000 of 1000 items written \(/);
  const failed = manyReply(
    'written',
    keys.map((item) => ({ ...item, Status: 503, Message: 'down' })),
  );
  ok(fits(failed.payload));
  equal(failed.status, 503);
  const giant = manyReply(
    'read',
    Array.from({ length: 1000 }, (_, i) => ({ Key: `${i}`.padEnd(500, 'k'), Status: 404 })),
  );
  ok(fits(giant.payload));
});
