import { equal, match, ok } from 'node:assert/strict';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JsonValue } from '@iotedge-redis/common';
import { Redis } from 'ioredis';
import { createItemClient } from '../helpers/item-client.ts';
import type { ItemClient } from '../helpers/item-client.ts';
import { freePort, startRedis } from '../helpers/redis.ts';
import type { TestRedis } from '../helpers/redis.ts';
import type { ClientSettings } from '../../modules/redis-client/src/settings.ts';

const ANSWER_MS = 3000;
const BACK_MS = 2000;

function clientOf(
  t: TestContext,
  { port }: { port: number },
  settings: Partial<ClientSettings> = {},
): ItemClient {
  return createItemClient(t, { endpoint: `127.0.0.1:${port}`, ...settings });
}

function adminOf(t: TestContext, { port }: TestRedis, options: { password?: string } = {}): Redis {
  const redis = new Redis({ port, host: '127.0.0.1', ...options });
  redis.on('error', () => undefined);
  t.after(() => redis.disconnect());
  return redis;
}

async function refused(
  client: ItemClient,
  status: number,
  text: RegExp,
  method = 'SetItem',
  payload: JsonValue = 'a:b',
): Promise<void> {
  const begin = performance.now();
  const reply = await client.call(method, payload);
  ok(performance.now() - begin < ANSWER_MS, 'answered in time');
  equal(reply.status, status, JSON.stringify(reply));
  match(JSON.stringify(reply.payload), text);
}

async function backInTime(client: ItemClient, method = 'SetItem', payload: JsonValue = 'a:b'): Promise<void> {
  ok((await client.until(200, method, payload)) < BACK_MS, 'works again in time');
}

test('RC-16: without a Redis at start every method answers 503 and works once Redis is there', async (t) => {
  const port = await freePort();
  const client = clientOf(t, { port });
  await refused(client, 503, /"No connection to Redis server: /);
  await client.start().then(
    () => ok(false, 'started without Redis'),
    (error: unknown) => match(String(error), /ECONNREFUSED/),
  );
  await refused(
    client,
    503,
    /"No connection to Redis server: connecting to 127\.0\.0\.1:\d+: nothing listens there/,
  );
  await refused(client, 503, /"No connection to Redis server available: /, 'GetItem', 'a');
  await refused(client, 503, /"No connection to Redis server: /, 'DeleteItem', 'a');
  equal((await client.call('SetItems', ['a:b'])).status, 503);
  equal(client.health().state, 'down');
  await startRedis(t, { port });
  await backInTime(client);
  await client.start();
  equal(client.health().state, 'ok');
});

test('RC-16: Redis killed and started again', async (t) => {
  const server = await startRedis(t);
  const client = clientOf(t, server);
  await client.start();
  await client.call('SetItem', 'a:b');
  await server.kill('SIGKILL');
  await refused(client, 503, /No connection to Redis server/);
  await sleep(2500);
  await refused(client, 503, /No connection to Redis server/);
  equal(client.health().state, 'down');
  await server.restart();
  await backInTime(client);
  ok(client.health().data?.['lastError'], 'RC-21: the last error stays visible');
  const last = JSON.stringify(client.reports.at(-1));
  match(last, /"connection":"ready","connectedSince":"2.*"lastError":\{"code":"REDIS_UNAVAILABLE"/);
});

test('RC-20: reports no success before Redis answered, and the reason while it does not', async (t) => {
  const port = await freePort();
  const client = clientOf(t, { port });
  await client.start().catch(() => undefined);
  ok(client.reports.length > 0);
  ok(client.reports.every((report) => !/"ready"|connectedSince/.test(JSON.stringify(report))));
  match(
    JSON.stringify(client.reports.at(-1)),
    /"lastError":\{"code":"REDIS_UNAVAILABLE","message":"connecting to/,
  );
});

test('RC-20: reports no connection any more once it was stopped', async (t) => {
  const server = await startRedis(t);
  const client = clientOf(t, server);
  await client.start();
  match(JSON.stringify(client.reports.at(-1)), /"connection":"ready"/);
  await client.stop();
  match(JSON.stringify(client.reports.at(-1)), /"connection":"closed"/);
  ok(!JSON.stringify(client.reports.at(-1)).includes('connectedSince'));
});

test('a stalled Redis is answered with 504 once, then 503, and works again when it goes on', async (t) => {
  const server = await startRedis(t);
  const client = clientOf(t, server);
  await client.start();
  await server.kill('SIGSTOP');
  t.after(() => server.kill('SIGCONT'));
  await refused(client, 504, /may or may not have happened/);
  await refused(client, 503, /No connection/);
  await sleep(3000);
  await refused(client, 503, /No connection/, 'GetItem', 'a');
  await server.kill('SIGCONT');
  await backInTime(client);
});

test('an idle connection to a stalled Redis is noticed without a request', async (t) => {
  const server = await startRedis(t);
  const client = clientOf(t, server, { redisCommandTimeoutMs: 500 });
  await client.start();
  await server.kill('SIGSTOP');
  t.after(() => server.kill('SIGCONT'));
  const begin = performance.now();
  while (client.health().state === 'ok' && performance.now() - begin < 9000) await sleep(50);
  equal(client.health().state, 'down');
});

test('a loading Redis is answered with 503 and works as soon as it has loaded', async (t) => {
  const args = ['--appendonly', 'no', '--dbfilename', 'dump.rdb'];
  const server = await startRedis(t, { args });
  const admin = adminOf(t, server);
  await admin.mset(Object.fromEntries(Array.from({ length: 1500 }, (_, i) => [`k${i}`, 'v'])));
  await admin.save();
  const client = clientOf(t, server);
  await client.start();
  const slow = ['--key-load-delay', '1500', '--loading-process-events-interval-bytes', '1024'];
  await server.kill('SIGKILL');
  await server.restart([...args, ...slow]);
  await sleep(700);
  await refused(client, 503, /No connection to Redis server: .*loading/);
  equal(client.health().data?.['connection'], 'loading');
  while ((await admin.info('persistence').catch(() => 'loading:1')).includes('loading:1')) await sleep(20);
  await backInTime(client, 'GetItem', 'k7');
});

test('a full Redis refuses writes with 503 and still reads', async (t) => {
  const server = await startRedis(t);
  const admin = adminOf(t, server);
  const client = clientOf(t, server);
  await client.start();
  await client.call('SetItem', 'a:b');
  await admin.config('SET', 'maxmemory', '1');
  await refused(client, 503, /SetItem error: .*out of memory/);
  await refused(client, 503, /out of memory/, 'SetItem', { key: 'n', value: 'x', ifAbsent: true });
  equal((await client.call('GetItem', 'a')).status, 200);
  await admin.config('SET', 'maxmemory', '0');
  await backInTime(client);
});

test('a Redis that cannot write to its disk refuses writes with 503', async (t) => {
  const server = await startRedis(t, { args: ['--save', '3600', '1000000'] });
  const admin = adminOf(t, server);
  const client = clientOf(t, server);
  await client.start();
  await rm(server.dir, { recursive: true });
  await admin.bgsave();
  while (!(await admin.info('persistence')).includes('rdb_last_bgsave_status:err')) await sleep(20);
  await refused(client, 503, /cannot write to its disk/);
  await admin.config('SET', 'stop-writes-on-bgsave-error', 'no');
  await backInTime(client);
});

test('a Redis without enough replicas refuses writes with 503', async (t) => {
  const server = await startRedis(t);
  const admin = adminOf(t, server);
  const client = clientOf(t, server);
  await client.start();
  await admin.config('SET', 'min-replicas-to-write', '1');
  await refused(client, 503, /too few connected replicas/);
  await refused(client, 503, /too few connected replicas/, 'SetItem', {
    key: 'n',
    value: 'x',
    ifAbsent: true,
  });
});

test('a read-only replica reads and refuses writes with 503, and takes them once it is the primary', async (t) => {
  const primary = await startRedis(t);
  await adminOf(t, primary).set('a', 'b');
  const replica = await startRedis(t, { args: ['--replicaof', '127.0.0.1', String(primary.port)] });
  const admin = adminOf(t, replica);
  const client = clientOf(t, replica);
  await client.start();
  await client.until(200, 'GetItem', 'a');
  await refused(client, 503, /SetItem error: .*read-only replica/);
  await refused(client, 503, /read-only replica/, 'DeleteItem', { key: 'a', ifEquals: 'b' });
  for (let i = 0; i < 50; i += 1) equal((await client.call('GetItem', 'a')).status, 200);
  await admin.call('REPLICAOF', 'NO', 'ONE');
  await backInTime(client);
});

test('a wrong password is answered with 503 and works once it is right', async (t) => {
  const server = await startRedis(t, { args: ['--requirepass', 'first-s3cret'] });
  const admin = adminOf(t, server, { password: 'first-s3cret' });
  const client = clientOf(t, server, { redisPassword: 'second-s3cret' });
  await client.start().catch(() => undefined);
  await refused(client, 503, /No connection to Redis server: .*refuses the user name or password/);
  equal(client.health().state, 'down');
  await admin.config('SET', 'requirepass', 'second-s3cret');
  await backInTime(client);
  ok(!client.lines.join('').includes('s3cret'));
});

test('a missing password is answered with 503 that says so', async (t) => {
  const server = await startRedis(t, { args: ['--requirepass', 'x'] });
  const client = clientOf(t, server);
  await client.start().catch(() => undefined);
  await refused(client, 503, /No connection to Redis server: .*asks for a password/);
});

test('an ACL user with the documented commands does everything, and nothing outside of its keys', async (t) => {
  const server = await startRedis(t);
  const admin = adminOf(t, server);
  const commands =
    'ping set del eval evalsha get type pttl strlen hlen llen scard zcard xlen memory|usage hgetall lrange smembers zrange xrange';
  await admin.call('ACL', [
    'SETUSER',
    'edge',
    'on',
    '>pw',
    '~app:*',
    ...commands.split(' ').map((name) => `+${name}`),
  ]);
  await admin.hset('app:h', 'f', '1');
  const client = clientOf(t, server, { redisUsername: 'edge', redisPassword: 'pw' });
  await client.start();
  const value = { key: 'app:x', value: '1', ttlSeconds: 50 };
  equal((await client.call('SetItem', value)).status, 200);
  equal((await client.call('SetItem', { ...value, value: '2', ifEquals: '1' })).status, 200);
  equal((await client.call('GetItem', { key: 'app:h' })).status, 200);
  equal((await client.call('GetItem', 'app:x')).status, 200);
  equal((await client.call('DeleteItem', 'app:x')).status, 200);
  await refused(client, 403, /ACL does not permit/, 'SetItem', { key: 'other', value: 'x' });
  await refused(client, 403, /ACL does not permit/, 'GetItem', 'other');
  await refused(client, 403, /ACL does not permit/, 'SetItem', { key: 'other', value: 'x', ifAbsent: true });
});

test('RC-10: what the ACL keeps from a script is answered with 403, as it is without one', async (t) => {
  const server = await startRedis(t);
  const redis = adminOf(t, server);
  const client = clientOf(t, server);
  await client.start();
  await redis.acl('SETUSER', 'default', '-set', '-hlen');
  await redis.hset('hash', 'field', 'value');
  equal((await client.call('SetItem', 'a:b')).status, 403);
  equal((await client.call('SetItem', { key: 'a', value: 'b', ifAbsent: true })).status, 403);
  equal((await client.call('GetItem', 'hash')).status, 403);
});

test('works with a Redis whose INFO was taken away', async (t) => {
  const server = await startRedis(t, { args: ['--rename-command', 'INFO', ''] });
  const client = clientOf(t, server);
  await client.start();
  equal((await client.call('SetItem', 'a:b')).status, 200);
});

test('what is no Redis is said to be none', async (t) => {
  const web = createServer((socket) => socket.on('error', () => undefined).end('HTTP/1.1 400 Bad\r\n\r\n'));
  web.listen(0, '127.0.0.1');
  await once(web, 'listening');
  t.after(() => web.close());
  const client = clientOf(t, web.address() as AddressInfo);
  await client.start().catch(() => undefined);
  await refused(client, 503, /what answers there is not Redis/);
});

test('a connection whose packets were lost does not hold up the next one', async (t) => {
  const server = await startRedis(t);
  const sockets = new Set<Socket>();
  let isLosing = false;
  const path = createServer((near) => {
    near.on('error', () => undefined);
    sockets.add(near);
    if (isLosing) return;
    const far = connect(server.port, server.host).on('error', () => undefined);
    near.pipe(far).pipe(near);
    near.on('close', () => far.destroy());
  });
  path.listen(0, '127.0.0.1');
  await once(path, 'listening');
  t.after(() => {
    path.close();
    for (const socket of sockets) socket.destroy();
  });
  const client = clientOf(t, path.address() as AddressInfo);
  await client.start();
  isLosing = true;
  for (const socket of sockets) socket.destroy();
  await sleep(1500);
  await refused(client, 503, /No connection/);
  isLosing = false;
  await backInTime(client);
});

test('a busy Redis is answered within the time limit', async (t) => {
  const server = await startRedis(t, { args: ['--busy-reply-threshold', '100'] });
  const admin = adminOf(t, server);
  const client = clientOf(t, server);
  await client.start();
  const killer = adminOf(t, server);
  await killer.ping();
  const loop = admin.eval('while true do end', 0).catch(() => undefined);
  await sleep(300);
  await refused(client, 503, /busy/);
  await killer.call('SCRIPT', 'KILL');
  await loop;
  await backInTime(client);
});

test('scripts that Redis has forgotten are sent again', async (t) => {
  const server = await startRedis(t);
  const admin = adminOf(t, server);
  const client = clientOf(t, server);
  await client.start();
  await client.call('SetItem', 'a:b');
  await client.call('GetItem', 'a');
  await admin.script('FLUSH');
  equal((await client.call('GetItem', 'a')).status, 200);
  await admin.script('FLUSH');
  equal((await client.call('SetItem', { key: 'a', value: 'c', ifEquals: 'b' })).status, 200);
});

test('what is configured but not there is said in words: database, host name', async (t) => {
  const server = await startRedis(t);
  const other = clientOf(t, server, { endpoint: `redis://127.0.0.1:${server.port}/4000` });
  await other.start().catch(() => undefined);
  await refused(other, 503, /no database of that number/);
  const nowhere = clientOf(t, server, { endpoint: 'no-such-host.invalid:6379' });
  await nowhere.start().catch(() => undefined);
  await refused(nowhere, 503, /no-such-host\.invalid:6379: the host name/);
});
