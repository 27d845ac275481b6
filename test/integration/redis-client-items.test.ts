import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { createItemClient } from '../helpers/item-client.ts';
import type { ItemClient } from '../helpers/item-client.ts';
import { startRedis } from '../helpers/redis.ts';
import type { ClientSettings } from '../../modules/redis-client/src/settings.ts';

async function setUp(
  t: TestContext,
  settings: Partial<ClientSettings> = {},
): Promise<{ client: ItemClient; redis: Redis }> {
  const server = await startRedis(t);
  const redis = new Redis({ port: server.port, host: server.host });
  t.after(() => redis.disconnect());
  const client = createItemClient(t, { endpoint: `${server.host}:${server.port}`, ...settings });
  await client.start();
  return { client, redis };
}

function sha1(value: string | Buffer): string {
  return createHash('sha1').update(value).digest('hex');
}

test("answers SetItem and GetItem exactly as the seed's README shows", async (t) => {
  const { client } = await setUp(t);
  deepEqual(await client.call('SetItem', 'ping:pong'), {
    status: 200,
    payload: { Message: "Written:True => key = 'ping', value = 'pong'", Status: 200 },
  });
  deepEqual(await client.call('GetItem', 'ping'), { status: 200, payload: { Message: 'pong', Status: 200 } });
  deepEqual(await client.call('GetItem', 'nothing'), {
    status: 404,
    payload: { Message: 'No value available in Redis', Status: 404 },
  });
});

test('RC-1, RC-12: values of every kind survive, in the string form and in the object form', async (t) => {
  const { client } = await setUp(t);
  const values = [
    '',
    ' ',
    'b:c',
    '"quoted"',
    "it's",
    '{"a":[1,"2"]}',
    'two\nlines\r\n',
    '\0',
    'naïve 日本 😀',
    'x'.repeat(102_400),
  ];
  for (const value of values) {
    const name = value.slice(0, 20);
    equal((await client.call('SetItem', `k:${value}`)).status, 200, name);
    deepEqual(
      await client.call('GetItem', 'k'),
      { status: 200, payload: { Message: value, Status: 200 } },
      name,
    );
    equal((await client.call('SetItem', { key: `key ${name}`, value })).status, 200, name);
    const read = await client.payload('GetItem', { key: `key ${name}` });
    deepEqual(read, { Message: value, Status: 200, ETag: sha1(value), Type: 'string' }, name);
  }
});

test('RC-1: any text survives the trip', async (t) => {
  const { client } = await setUp(t);
  const text = fc.string({ unit: 'binary' });
  const property = fc.asyncProperty(
    text.filter((key) => key !== ''),
    text,
    async (key, value) => {
      equal((await client.call('SetItem', { key, value })).status, 200);
      equal((await client.payload('GetItem', { key }))['Message'], value);
    },
  );
  await fc.assert(property, { numRuns: 100 });
});

test('RC-26: ttlSeconds lets a key expire and a later write without it keeps the key', async (t) => {
  const { client, redis } = await setUp(t);
  await client.call('SetItem', { key: 'a', value: '1', ttlSeconds: 100 });
  const ttl = await redis.pttl('a');
  ok(ttl > 99_000 && ttl <= 100_000);
  equal((await client.payload('GetItem', { key: 'a' }))['TtlSeconds'], 100);
  await client.call('SetItem', { key: 'b', value: '1', ttlSeconds: 100, ifAbsent: true });
  ok((await redis.pttl('b')) > 99_000);
  await client.call('SetItem', 'a:2');
  equal(await redis.pttl('a'), -1);
});

test('RC-27: conditions hold or answer 409 with the ETag of what is there', async (t) => {
  const { client, redis } = await setUp(t);
  const set = (extra: object) => client.call('SetItem', { key: 'a', value: 'new', ...extra });
  deepEqual((await set({ ifEquals: 'x' })).payload, {
    Message: 'SetItem error: condition failed: the key does not exist (ifEquals)',
    Status: 409,
  });
  equal((await set({ ifMatch: sha1('x') })).status, 409);
  deepEqual((await set({ ifAbsent: true, value: 'one' })).payload, {
    Message: "Written:True => key = 'a', value = 'one'",
    Status: 200,
    ETag: sha1('one'),
  });
  deepEqual((await set({ ifAbsent: true })).payload, {
    Message: 'SetItem error: condition failed: the key exists already (ifAbsent)',
    Status: 409,
    ETag: sha1('one'),
  });
  equal((await set({ ifEquals: 'other' })).status, 409);
  equal((await set({ ifEquals: 'one', value: 'two' })).status, 200);
  equal((await set({ ifMatch: sha1('one') })).status, 409);
  equal((await set({ ifMatch: sha1('two'), value: '' })).status, 200);
  equal((await set({ ifEquals: '', value: 'three' })).status, 200);
  equal(await redis.get('a'), 'three');
  equal((await client.call('DeleteItem', { key: 'a', ifEquals: 'four' })).status, 409);
  equal(await redis.get('a'), 'three');
  equal((await client.call('DeleteItem', { key: 'a', ifMatch: sha1('three') })).status, 200);
  equal(await redis.exists('a'), 0);
});

test('RC-27: a condition on a key of another type fails and leaves it alone', async (t) => {
  const { client, redis } = await setUp(t);
  await redis.hset('h', 'f', '1');
  for (const condition of [{ ifEquals: '1' }, { ifMatch: sha1('1') }, { ifAbsent: true }]) {
    const reply = await client.call('SetItem', { key: 'h', value: 'x', ...condition });
    equal(reply.status, 409);
    match(JSON.stringify(reply.payload), /another type/);
  }
  equal(await redis.hget('h', 'f'), '1');
});

test('RC-27: of many writers with the same condition exactly one wins', async (t) => {
  const { client, redis } = await setUp(t);
  let winner = '0';
  await redis.set('counter', winner);
  for (let round = 0; round < 20; round += 1) {
    const writers = Array.from({ length: 16 }, (_, writer) =>
      client.call('SetItem', {
        key: 'counter',
        value: `${round}-${writer}`,
        ifMatch: sha1(winner),
      }),
    );
    const replies = await Promise.all(writers);
    equal(replies.filter(({ status }) => status === 200).length, 1);
    equal(replies.filter(({ status }) => status === 409).length, 15);
    winner = (await redis.get('counter')) ?? '';
  }
});
test('RC-24: DeleteItem removes a key of any type and answers 404 for none', async (t) => {
  const { client, redis } = await setUp(t);
  await redis.set('a', '1');
  await redis.rpush('l', '1');
  deepEqual(await client.call('DeleteItem', 'a'), {
    status: 200,
    payload: { Message: "Deleted:True => key = 'a'", Status: 200 },
  });
  equal((await client.call('DeleteItem', { key: 'l' })).status, 200);
  deepEqual((await client.call('DeleteItem', 'a')).payload, {
    Message: 'No value available in Redis',
    Status: 404,
  });
});

test('RC-25: SetItems and GetItems work item by item', async (t) => {
  const { client, redis } = await setUp(t);
  await redis.set('held', '1');
  const written = await client.payload('SetItems', ['a:1', { key: 'held', value: 2, ifAbsent: true }, 'a:3']);
  equal(written['Message'], '2 of 3 items written');
  equal(written['Status'], 409);
  equal(await redis.get('a'), '3');
  const read = await client.payload('GetItems', ['a', 'held', 'none']);
  deepEqual(read, {
    Message: '2 of 3 items read',
    Status: 404,
    Items: [
      { Key: 'a', Status: 200, Value: '3', ETag: sha1('3'), Type: 'string' },
      { Key: 'held', Status: 200, Value: '1', ETag: sha1('1'), Type: 'string' },
      { Key: 'none', Status: 404, Message: 'No value available in Redis' },
    ],
  });
  equal((await client.payload('GetItems', ['a', 'held']))['Status'], 200);
});

test('RC-25: SetItems keeps its order also where Redis does not know the script of conditions yet', async (t) => {
  const { client, redis } = await setUp(t);
  const written = await client.payload('SetItems', [
    { key: 'a', value: 1, ifAbsent: true },
    { key: 'a', value: 2, ifEquals: '1' },
    'a:3',
  ]);
  equal(written['Message'], '3 of 3 items written');
  equal(await redis.get('a'), '3');
});

test('RC-31: other types are answered as JSON text with their type', async (t) => {
  const { client, redis } = await setUp(t);
  await redis.hset('hash', 'a', '1', 'b', 'x:y');
  await redis.rpush('list', 'a', 'b');
  await redis.sadd('set', 'a');
  await redis.zadd('zset', 1.5, 'a');
  await redis.xadd('stream', '5-1', 'f', 'v');
  await redis.set('binary', Buffer.from([0xff, 0xfe]));
  const expected = {
    hash: '{"a":"1","b":"x:y"}',
    list: '["a","b"]',
    set: '["a"]',
    zset: '[{"member":"a","score":1.5}]',
    stream: '[{"id":"5-1","fields":[["f","v"]]}]',
  };
  for (const [type, text] of Object.entries(expected)) {
    deepEqual(await client.payload('GetItem', { key: type }), { Message: text, Status: 200, Type: type });
    deepEqual(await client.payload('GetItem', type), { Message: text, Status: 200 });
  }
  deepEqual(await client.payload('GetItem', { key: 'binary' }), {
    Message: '//4=',
    Status: 200,
    ETag: sha1(Buffer.from([0xff, 0xfe])),
    Type: 'string',
    Encoding: 'base64',
  });
});

test('RC-14: what does not fit into a reply is answered with 413, and is not even fetched', async (t) => {
  const { client, redis } = await setUp(t);
  await redis.set('large', 'x'.repeat(50_000_000));
  await redis.set('escapes', '\u0001'.repeat(50_000));
  await redis.hset('hash', 'f', 'x'.repeat(200_000));
  await redis.hset('wide', Object.fromEntries(Array.from({ length: 40_000 }, (_, i) => [`f${i}`, ''])));
  for (const key of ['large', 'escapes', 'hash', 'wide']) {
    const reply = await client.call('GetItem', key);
    equal(reply.status, 413, key);
    match(JSON.stringify(reply.payload), /does not fit/);
  }
  const info = await redis.info('stats');
  const sent = Number(/total_net_output_bytes:(\d+)/.exec(info)?.[1]);
  ok(sent < 2_000_000, `${sent} bytes left Redis`);
  equal((await client.call('SetItem', { key: 'a', value: 'x'.repeat(131_073) })).status, 413);
  equal(await redis.exists('a'), 0);
});

test('db reaches other databases without moving the others', async (t) => {
  const { client, redis } = await setUp(t);
  const many = Array.from({ length: 12 }, (_, db) => client.call('SetItem', { key: 'where', value: db, db }));
  deepEqual(
    (await Promise.all(many)).map(({ status }) => status),
    Array.from({ length: 12 }, () => 200),
  );
  for (let db = 0; db < 12; db += 1) {
    equal((await client.payload('GetItem', { key: 'where', db }))['Message'], String(db));
  }
  equal(await redis.get('where'), '0');
  equal((await client.call('GetItem', 'where')).status, 200);
  const refused = await client.call('GetItem', { key: 'where', db: 4000 });
  equal(refused.status, 400);
  match(JSON.stringify(refused.payload), /4000/);
});

test('RC-10, RC-32: malformed and forbidden requests do not reach Redis', async (t) => {
  const { client, redis } = await setUp(t, { allowedKeys: ['app:*', 'iotedge-redis:*'] });
  equal((await client.call('SetItem', { key: 'app:1', value: 'x' })).status, 200);
  equal((await client.call('SetItem', 'other:x')).status, 403);
  equal((await client.call('GetItem', 'other')).status, 403);
  equal((await client.call('DeleteItem', 'other')).status, 403);
  equal((await client.call('SetItem', { key: 'iotedge-redis:x', value: '' })).status, 403);
  deepEqual((await client.payload('GetItems', ['app', 'app:1']))['Status'], 403);
  equal((await client.call('SetItem', 'nocolon')).status, 400);
  client.applyLive({ readOnly: true });
  equal((await client.call('SetItem', { key: 'app:1', value: 'y' })).status, 403);
  equal((await client.call('GetItem', 'app:1')).status, 200);
  equal(await redis.dbsize(), 1);
});

test('RC-17, RC-18: logs say key, size, latency and request, and never a value', async (t) => {
  const { client } = await setUp(t);
  await client.call('SetItem', 'the-key:the-s3cret-value');
  await client.call('GetItem', 'the-key');
  await client.call('SetItem', { key: 'the-key', value: 'the-s3cret-value-2', ifEquals: 'the-s3cret-other' });
  await client.call('SetItems', ['the-key:the-s3cret-value']);
  const log = client.lines.join('');
  ok(!log.includes('s3cret'));
  match(log, /"method":"GetItem".*"requestId":"request-1".*"latencyMs".*"readBytes":16.*"key":"the-key"/);
  const info = client.lines.filter((line) => line.startsWith('<6>') || line.startsWith('<4>'));
  ok(
    info.every((line) => /connected to Redis|append-only/.test(line)),
    info.join(''),
  );
});

test('RC-28: Stats counts by method and status', async (t) => {
  const { client } = await setUp(t);
  await client.call('SetItem', 'a:12345');
  await client.call('GetItem', 'a');
  await client.call('GetItem', 'b');
  const stats = await client.payload('Stats', null);
  equal(stats['Status'], 200);
  const methods = stats['methods'] as Record<string, Record<string, unknown>>;
  deepEqual(methods['GetItem']?.['statuses'], { 200: 1, 404: 1 });
  equal(methods['GetItem']['readBytes'], 5);
  equal(methods['SetItem']?.['writtenBytes'], 5);
});

test('RC-28: Stats counts bytes of what was read, not members and not what was too large', async (t) => {
  const { client, redis } = await setUp(t);
  await redis.hset('hash', 'field', 'value');
  await redis.set('large', 'x'.repeat(200_000));
  await client.call('GetItem', 'hash');
  await client.call('GetItem', 'large');
  await client.call('GetItems', ['hash', 'large']);
  const { methods } = (await client.payload('Stats', null)) as {
    methods: Record<string, Record<string, unknown>>;
  };
  equal(methods['GetItem']?.['readBytes'], 10);
  equal(methods['GetItems']?.['readBytes'], 10);
});

test('RC-9: durability fsync confirms after the disk, or says that this Redis cannot', async (t) => {
  const server = await startRedis(t, { args: ['--appendonly', 'yes', '--appendfsync', 'everysec'] });
  const redis = new Redis({ port: server.port, host: server.host });
  redis.on('error', () => undefined);
  t.after(() => redis.disconnect());
  const version = /redis_version:(\d+)\.(\d+)/.exec(await redis.info('server'));
  const can = Number(version?.[1]) > 7 || (Number(version?.[1]) === 7 && Number(version?.[2]) >= 2);
  const client = createItemClient(t, { endpoint: `${server.host}:${server.port}`, durability: 'fsync' });
  await client.start();
  const begin = performance.now();
  const writes = Array.from({ length: 50 }, (_, i) => client.payload('SetItem', { key: `k${i}`, value: i }));
  const replies = await Promise.all(writes);
  ok(performance.now() - begin < 3000);
  ok(replies.every((reply) => reply['Status'] === 200 && reply['Durability'] === (can ? 'fsync' : 'memory')));
  equal(client.health().state, can ? 'ok' : 'degraded');
  equal((await client.call('DeleteItem', 'k1')).status, 200);
  equal((await client.payload('SetItem', { key: 'x', value: 1, db: 1 }))['Status'], 200);
  deepEqual(await client.payload('SetItem', 'k2:y'), {
    Message: "Written:True => key = 'k2', value = 'y'",
    Status: 200,
  });
  await server.kill('SIGKILL');
  await server.restart();
  equal(await client.until(200, 'GetItem', 'k2').then(() => 200), 200);
  if (can) equal((await client.payload('GetItem', 'k2'))['Message'], 'y');
});
