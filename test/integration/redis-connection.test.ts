import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { RedisCallError, RedisConnection, createLog } from '@iotedge-redis/common';
import type { RedisTarget } from '@iotedge-redis/common';
import { Redis } from 'ioredis';
import { createCa, issueCertificate } from '../../local-edge/src/certificate-authority.ts';
import { findProgram } from '../../local-edge/src/services/find-server.ts';
import { createItemClient } from '../helpers/item-client.ts';
import { freePort, startRedis } from '../helpers/redis.ts';

function connectionTo(t: TestContext, port: number, target: Partial<RedisTarget> = {}): RedisConnection {
  const connection = new RedisConnection({
    name: 'test',
    log: createLog({ write: () => undefined }),
    target: {
      mode: 'standalone',
      place: { host: '127.0.0.1', port },
      sentinels: [],
      sentinelMaster: 'mymaster',
      db: 0,
      commandTimeoutMs: 2500,
      connectTimeoutMs: 2000,
      ...target,
    },
  });
  t.after(() => connection.close());
  return connection;
}

async function ready(connection: RedisConnection): Promise<void> {
  for (let i = 0; i < 200 && connection.status.state !== 'ready'; i += 1) await sleep(50);
  equal(connection.status.state, 'ready');
}

test('says of a failed call whether its command may have reached Redis', async (t) => {
  const server = await startRedis(t);
  const connection = connectionTo(t, server.port);
  const outcome = async (call: Promise<unknown>): Promise<unknown> =>
    call.then(
      () => 'done',
      (error: unknown) => (error instanceof RedisCallError ? error.outcome : error),
    );
  equal(await outcome(connection.run('early', (client) => client.get('a'))), 'unsent');
  await connection.connect();
  equal(await outcome(connection.run('asking', (client) => client.get('a'))), 'done');
  equal(await outcome(connection.run('failing', (client) => client.call('NOSUCH'))), 'refused');
  const blocked = connection.run('blocking', (client) => client.blpop('none', 0));
  const lost = outcome(blocked);
  await server.kill('SIGKILL');
  equal(await lost, 'unknown');
});

test('a connection for blocking reads outlives its BLOCK and gives up on a peer that is silent', async (t) => {
  const server = await startRedis(t);
  const connection = connectionTo(t, server.port, { commandTimeoutMs: 300 });
  await connection.connect();
  const blocking = connection.duplicateForBlocking(500);
  t.after(() => blocking.close());
  await blocking.connect();
  equal(await blocking.run('reading', (client) => client.blpop('none', 0.5)), null);
  await server.kill('SIGSTOP');
  t.after(() => server.kill('SIGCONT'));
  await rejects(
    blocking.run('reading', (client) => client.blpop('none', 0.5)),
    { code: 'REDIS_TIMEOUT' },
  );
  await server.kill('SIGCONT');
  await ready(blocking);
  equal(await blocking.run('reading', (client) => client.blpop('none', 0.1)), null);
});

test('close waits for the calls under way and refuses new ones', async (t) => {
  const server = await startRedis(t);
  const connection = connectionTo(t, server.port);
  await connection.connect();
  const call = connection.run('waiting', (client) => client.blpop('none', 0.3));
  await connection.close();
  equal(await call, null);
  await rejects(
    connection.run('late', (client) => client.ping()),
    { code: 'REDIS_UNAVAILABLE' },
  );
  await rejects(connection.connect());
  await connection.close();
});

test('close does not wait longer than its signal allows', async (t) => {
  const server = await startRedis(t);
  const connection = connectionTo(t, server.port);
  await connection.connect();
  const call = connection
    .run('waiting', (client) => client.blpop('none', 0))
    .catch((error: unknown) => error);
  const begin = performance.now();
  await connection.close(AbortSignal.timeout(100));
  ok(performance.now() - begin < 1000);
  ok((await call) instanceof RedisCallError);
});

test('warns once of a server that may lose confirmed writes', async (t) => {
  const server = await startRedis(t, { args: ['--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru'] });
  const client = createItemClient(t, { endpoint: `127.0.0.1:${server.port}` });
  await client.start();
  await server.restart();
  await client.until(404, 'GetItem', 'a');
  const warnings = client.lines.filter((line) => /^<4>.*(evict|append-only)/.test(line));
  equal(warnings.length, 2, warnings.join(''));
});

test('connects by TLS with a private CA and a client certificate, and refuses what the CA did not sign', async (t) => {
  const day = 86_400_000;
  const notBefore = new Date(Date.now() - day);
  const expires = new Date(Date.now() + day);
  const ca = await createCa(notBefore, expires);
  const make = (use: 'server' | 'client') =>
    issueCertificate(ca, { commonName: use, names: ['localhost', '127.0.0.1'], use, notBefore, expires });
  const [serverCert, clientCert, other] = await Promise.all([
    make('server'),
    make('client'),
    createCa(notBefore, expires),
  ]);
  const tlsPort = await freePort();
  const plain = await startRedis(t);
  const files = {
    'ca.pem': ca.cert,
    's.pem': serverCert.cert,
    's.key': serverCert.key,
    'c.pem': clientCert.cert,
    'c.key': clientCert.key,
    'x.pem': other.cert,
  };
  const path = (name: string): string => join(plain.dir, name);
  for (const [name, content] of Object.entries(files)) await writeFile(path(name), content);
  const tls = [
    '--tls-port',
    String(tlsPort),
    '--tls-cert-file',
    path('s.pem'),
    '--tls-key-file',
    path('s.key'),
    '--tls-ca-cert-file',
    path('ca.pem'),
  ];
  await startRedis(t, { args: tls });
  const settings = {
    endpoint: `rediss://localhost:${tlsPort}`,
    redisCaFile: path('ca.pem'),
    redisCertFile: path('c.pem'),
    redisKeyFile: path('c.key'),
  };
  const client = createItemClient(t, settings);
  await client.start();
  equal((await client.call('SetItem', 'a:b')).status, 200);
  const distrustful = createItemClient(t, { ...settings, redisCaFile: path('x.pem') });
  await rejects(distrustful.start(), /not trusted|REDIS_CA_FILE/);
  const elsewhere = createItemClient(t, { ...settings, redisTlsServerName: 'other.example' });
  await rejects(elsewhere.start(), /another name/);
  const unreadable = createItemClient(t, { ...settings, redisCaFile: path('none.pem') });
  await rejects(unreadable.start(), /REDIS_CA_FILE: cannot read the file/);
});

test('works with a Redis Cluster, where only database 0 exists', async (t) => {
  const server = await startRedis(t, {
    args: ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'],
  });
  const admin = new Redis({ port: server.port });
  admin.on('error', () => undefined);
  t.after(() => admin.disconnect());
  const client = createItemClient(t, { endpoint: `127.0.0.1:${server.port}`, redisMode: 'cluster' });
  await client.start().catch(() => undefined);
  equal((await client.call('SetItem', 'a:b')).status, 503);
  await admin.call('CLUSTER', ['ADDSLOTSRANGE', 0, 16_383]);
  await client.until(200, 'SetItem', 'a:b');
  equal((await client.call('SetItem', { key: 'a', value: 'c', ifEquals: 'b' })).status, 200);
  equal((await client.call('SetItems', ['x:1', 'y:2', 'z:3'])).status, 200);
  equal((await client.payload('GetItems', ['x', 'y', 'z', 'a']))['Status'], 200);
  equal((await client.call('GetItem', { key: 'a', db: 0 })).status, 200);
  equal((await client.call('GetItem', { key: 'a', db: 1 })).status, 400);
  await server.kill('SIGKILL');
  const down = await client.call('SetItem', 'a:b');
  equal(down.status, 503, JSON.stringify(down));
  await server.restart();
  await client.until(200, 'SetItem', 'a:b');
});

test('follows the Sentinels to the new primary', async (t) => {
  const primary = await startRedis(t);
  const replica = await startRedis(t, { args: ['--replicaof', '127.0.0.1', String(primary.port)] });
  const port = await freePort();
  const file = join(replica.dir, 'sentinel.conf');
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `sentinel monitor mymaster 127.0.0.1 ${primary.port} 1`,
    'sentinel down-after-milliseconds mymaster 500',
    'sentinel failover-timeout mymaster 2000',
  ];
  await writeFile(file, `${lines.join('\n')}\n`);
  const found = await findProgram('redis');
  const sentinel = spawn(found.command, [...found.args, file, '--sentinel'], {
    stdio: 'ignore',
    env: { ...process.env, ...found.env },
  });
  t.after(() => sentinel.kill('SIGKILL'));
  const client = createItemClient(t, { redisMode: 'sentinel', redisSentinels: [`127.0.0.1:${port}`] });
  for (let i = 0; i < 100 && client.health().state !== 'ok'; i += 1)
    await client.start().catch(() => sleep(50));
  equal((await client.call('SetItem', 'a:b')).status, 200);
  const admin = new Redis({ port });
  t.after(() => admin.disconnect());
  const replicas = async (): Promise<string> =>
    JSON.stringify(await admin.call('SENTINEL', 'REPLICAS', 'mymaster'));
  while (!(await replicas()).includes('"master-link-status","ok"')) await sleep(100);
  await primary.kill('SIGKILL');
  const elapsed = await client.until(200, 'SetItem', 'a:c');
  ok(elapsed < 10_000);
  const direct = new Redis({ port: replica.port });
  t.after(() => direct.disconnect());
  equal(await direct.get('a'), 'c');
  deepEqual(client.health().state, 'ok');
  match(JSON.stringify(client.health().data), /sentinel mymaster/);
});
