import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { generateManifest } from '../../build/manifest/generate.ts';
import { createCa, issueCertificate } from '../../local-edge/src/certificate-authority.ts';
import { findKafka } from '../../local-edge/src/services/find-kafka.ts';
import { subscribe } from '../helpers/bridge.ts';
import { makeStateDir, plainEnvironment, projectRoot, startEdge } from '../helpers/edge-process.ts';
import type { EdgeProcess } from '../helpers/edge-process.ts';
import { startKafka } from '../helpers/kafka.ts';
import { findNewestRedis, NEWEST_TESTED } from '../helpers/newest-redis.ts';
import { operatorClient, operatorLogin } from '../helpers/operator.ts';
import { eventually } from '../helpers/site.ts';

/** What `npm run manifest` writes for this machine, in a file. */
async function generated(edge: EdgeProcess, modules?: readonly string[]): Promise<string> {
  const { text, findings } = await generateManifest({
    root: projectRoot,
    envPath: join(projectRoot, '.env.template'),
    env: {},
    ...(modules === undefined ? {} : { modules }),
  });
  assert.deepEqual(findings, []);
  const file = join(edge.stateDir, 'generated.json');
  writeFileSync(file, text ?? '');
  return file;
}

async function running(edge: EdgeProcess): Promise<string[]> {
  return (await edge.modules())
    .filter((one) => one.status === 'running')
    .map((one) => one.name)
    .sort();
}

function item(edge: EdgeProcess, key: string): Promise<unknown> {
  return edge
    .invoke('redis-client', 'GetItem', key)
    .then((reply) => (reply['payload'] as { Message: string }).Message);
}

/** One piece of work for each module; resolves when each has done its own. */
async function everyModuleWorks(t: TestContext, edge: EdgeProcess): Promise<void> {
  // All of them wait for settings but redis-client; the samples of npm start are their settings.
  await eventually(
    () => edge.invoke('redis-client', 'SetItem', 'ping:pong').then(JSON.stringify, String),
    (reply) => reply.includes('Written:True'),
    30_000,
  );
  assert.equal(await item(edge, 'ping'), 'pong');
  await eventually(
    () => edge.invoke('redis-sync', 'SyncStatus', null),
    (reply) => JSON.stringify(reply).includes('"state":"done"'),
    // Azurite has to come up for it.
    90_000,
  );
  assert.equal(await item(edge, 'key2'), 'value2');
  const net = JSON.parse(readFileSync(join(edge.stateDir, 'net.json'), 'utf8')) as Record<string, number>;
  const subscriber = await subscribe(t, `mqtt://127.0.0.1:${net['mosquitto:1883'] ?? 0}`);
  await edge.invoke('redis-client', 'SetItem', 'still:here');
  await subscriber.until(0, () => true, 1);
  await eventually(
    () => item(edge, 'battery:1'),
    (value) => String(value).includes('charging'),
    // A Kafka has to come up for it.
    120_000,
  );
  await exportWorks(edge);
}

/** An export into the sample storage, to its end. */
async function exportWorks(edge: EdgeProcess): Promise<void> {
  const begun = await eventually(
    async () => (await edge.invoke('redis-snapshot', 'Export', null))['payload'] as { runId?: string },
    ({ runId }) => runId !== undefined,
    60_000,
  );
  const ended = await eventually(
    async () => {
      const { properties } = (await edge.json('module-twin', 'show', '-m', 'redis-snapshot')) as {
        properties: { reported: { export?: { runId?: string; state?: string; finishedAt?: string } } };
      };
      return properties.reported.export;
    },
    (run) => run?.runId === begun.runId && run?.finishedAt !== undefined,
    60_000,
  );
  assert.equal(ended?.state, 'done', JSON.stringify(ended));
}

test('the generated file is what the local edge runs: modules leave and come as edgeAgent would have them', async (t) => {
  const edge = await startEdge(t);
  const everything = await running(edge);
  await edge.invoke('redis-client', 'SetItem', 'kept:over all of it');
  const client = await edge.pidOf('redis-client');
  const less = await edge.run('set-modules', '--content', await generated(edge, ['redis', 'redis-client']));
  assert.equal(less.code, 0, less.stderr);
  assert.match(less.stderr, /^NAME +STATUS +DESCRIPTION\nredis +running/m);
  assert.deepEqual(await running(edge), ['edgeAgent', 'edgeHub', 'redis', 'redis-client']);
  // What did not change goes on; Redis has fewer users and is made anew, with the same data and passwords.
  assert.equal(await edge.pidOf('redis-client'), client);
  await eventually(
    () => item(edge, 'kept'),
    (value) => value === 'over all of it',
  );
  const users = await operatorClient(t, edge.stateDir).call('ACL', 'USERS');
  assert.deepEqual((users as string[]).sort(), ['default', 'operator', 'redis-client']);

  await edge.ok('set-modules', '--content', await generated(edge));
  assert.deepEqual(await running(edge), everything);
  await eventually(
    () => item(edge, 'kept'),
    (value) => value === 'over all of it',
  );
});

test('a manifest that edgeAgent would refuse is refused with its code and words, and changes nothing', async (t) => {
  const edge = await startEdge(t);
  const before = await running(edge);
  const text = readFileSync(await generated(edge), 'utf8');
  const file = join(edge.stateDir, 'wrong.json');
  const cases: readonly (readonly [string, string, RegExp])[] = [
    [
      '"schemaVersion": "1.1",',
      '"schemaVersion": "1.7",',
      /edgeAgent reports 412: \$edgeAgent schemaVersion must be 1\.0 or 1\.1/,
    ],
    [
      '"restartPolicy": "always"',
      '"restartPolicy": "sometimes"',
      /edgeAgent reports 400: .*restartPolicy must be never/,
    ],
    [
      '"status": "running"',
      '"status": "walking"',
      /edgeAgent reports 400: .*status must be "running" or "stopped"/,
    ],
  ];
  for (const [from, to, expected] of cases) {
    // The first of these is that of edgeHub, which edgeAgent does not look at here.
    const at = from.includes('schema') ? text.indexOf(from) : text.lastIndexOf(from);
    writeFileSync(file, text.slice(0, at) + to + text.slice(at + from.length));
    const refused = await edge.run('set-modules', '--content', file);
    assert.equal(refused.code, 1, refused.stderr);
    assert.match(refused.stderr, expected);
  }
  assert.deepEqual(await running(edge), before);
});

test('RD-6: every module works as a user of its own that may do nothing else, and no password is written down', async (t) => {
  await findKafka();
  const edge = await startEdge(t);
  await everyModuleWorks(t, edge);
  const operator = operatorClient(t, edge.stateDir);
  await operator.xadd('acl:stream', '*', 'field', 'value');
  await eventually(
    () => operator.call('XINFO', 'GROUPS', 'acl:stream').catch(() => []),
    (groups) => JSON.stringify(groups).includes('"lag",0'),
    30_000,
  );
  const names = ['redis-client', 'redis-sync', 'stream-to-mqtt', 'kafka-ingest', 'redis-snapshot'];
  const connected = String(await operator.call('CLIENT', 'LIST'));
  for (const name of names) assert.match(connected, new RegExp(` user=${name} `));
  assert.doesNotMatch(connected, /user=default/);
  assert.deepEqual(await operator.call('ACL', 'LOG'), [], 'nobody asked for what is not permitted');
  const flags = (await operator.call('ACL', 'GETUSER', 'default')) as unknown[];
  assert.deepEqual(flags[1], ['off'], 'the default user is off and has no password that fits everything');

  // Modules that wait for settings have their users, too.
  const users = (await running(edge)).filter((name) => !/^(edge|redis$|mosquitto$)/.test(name));
  const passwords = users.map((name) =>
    readFileSync(join(edge.stateDir, 'run', '.volumes', `${name}-secrets`, 'redis'), 'utf8'),
  );
  assert.equal(new Set(passwords).size, users.length);
  for (const name of ['FLUSHALL', 'CONFIG|SET', 'KEYS', 'SHUTDOWN', 'ACL|SETUSER', 'MIGRATE'])
    for (const user of users) {
      const [command = '', ...rest] = name.split('|');
      const dry = String(
        await operator
          .call('ACL', 'DRYRUN', user, command, ...rest, ...Array<string>(6).fill('1'))
          .catch(String),
      );
      assert.match(dry, /no permissions|wrong number/i, `${user} ${name}`);
    }
  for (const file of ['manifest.json', 'twins.json', 'run/redis/tmpfs/_run/users.acl', 'logs/redis.log'])
    for (const password of passwords)
      assert(!readFileSync(join(edge.stateDir, file), 'utf8').includes(password), file);
});

test('RD-26: with the newest Redis, which the image of the template names, every module works as its user', async (t) => {
  await findKafka();
  const stateDir = makeStateDir(t);
  const { command, args } = await findNewestRedis();
  const programs = join(stateDir, 'programs');
  mkdirSync(programs);
  const words = [command, ...args].map((word) => `'${word}'`).join(' ');
  writeFileSync(join(programs, 'redis-server'), `#!/bin/sh\nexec ${words} "$@"\n`, { mode: 0o755 });
  const env = plainEnvironment({ PATH: `${programs}:${process.env['PATH'] ?? ''}` });
  const edge = await startEdge(t, { stateDir, env });
  await everyModuleWorks(t, edge);
  const operator = operatorClient(t, stateDir);
  const version = /^redis_version:(.*)$/m.exec(String(await operator.info('server')))?.[1] ?? '';
  t.diagnostic(`Redis ${version}; the template names ${NEWEST_TESTED}`);
  assert.deepEqual(await operator.call('ACL', 'LOG'), [], 'nobody asked for what is not permitted');
});

test('RD-7: with REDIS_TLS=on every module works, and nothing is said in clear', async (t) => {
  await findKafka();
  const stateDir = makeStateDir(t);
  const now = Date.now();
  const ca = await createCa(new Date(now - 60_000), new Date(now + 3_600_000));
  const server = await issueCertificate(ca, {
    commonName: 'redis',
    names: ['redis'],
    use: 'server',
    notBefore: new Date(now - 60_000),
    expires: new Date(now + 3_600_000),
  });
  const [tls, trust] = [join(stateDir, 'host-tls'), join(stateDir, 'host-ca')];
  for (const folder of [tls, trust]) mkdirSync(folder);
  writeFileSync(join(tls, 'redis.crt'), server.cert);
  writeFileSync(join(tls, 'redis.key'), server.key);
  for (const folder of [tls, trust]) writeFileSync(join(folder, 'ca.crt'), ca.cert);
  const env = plainEnvironment({
    REDIS_TLS: 'on',
    REDIS_ENDPOINT: 'rediss://redis:6379',
    REDIS_TLS_FOLDER: tls,
    REDIS_CA_FOLDER: trust,
  });
  const edge = await startEdge(t, { stateDir, env });
  await everyModuleWorks(t, edge);
  const twin = await edge.ok('module-twin', 'show', '-m', 'redis-client');
  assert.match(JSON.stringify(JSON.parse(twin)), /"endpoint":\{"value":"rediss:\/\/redis:6379","ac":200/);
  const answer = await new Promise<string>((resolve) => {
    const socket = connect(operatorLogin(stateDir).port, '127.0.0.1', () => socket.write('PING\r\n'));
    let text = '';
    socket.on('data', (chunk) => (text += chunk.toString()));
    socket.on('error', () => resolve(text));
    socket.on('close', () => resolve(text));
  });
  assert.doesNotMatch(answer, /PONG|NOAUTH/);
});

test('RD-23: positions in Kafka survive a restart of everything: no record is taken twice, none is left out', async (t) => {
  const stateDir = makeStateDir(t);
  const kafka = await startKafka(t);
  await kafka.createTopic('drill', 1);
  await kafka.produce(
    'drill',
    ['1', '2', '3'].map((n) => ({ key: `drill:${n}`, value: `{"n":${n}}` })),
  );
  const first = await startEdge(t, { stateDir });
  const desired = JSON.stringify({ brokers: [kafka.address], topics: ['drill'] });
  // The sample gives way to what a person sets.
  await eventually(
    () => Promise.resolve(first.output.stderr),
    (text) => /sample: (?:kafka-ingest takes|no Kafka)/.test(text),
    120_000,
  );
  await first.ok('module-twin', 'update', '-m', 'kafka-ingest', '--desired', desired);
  await eventually(
    () => item(first, 'drill:3'),
    (value) => String(value).includes('"n"'),
    60_000,
  );
  // Whoever takes the records from the start again would write it anew.
  await first.invoke('redis-client', 'DeleteItem', 'drill:1');
  const position = async (): Promise<unknown> => {
    const operator = operatorClient(t, stateDir);
    const keys = await operator.keys('iotedge-redis:kafka-ingest:*:drill:0');
    // The other one says which cluster the partition was read from.
    return operator.hget(keys.find((key) => !key.includes(':cluster:')) ?? '', 'next');
  };
  assert.equal(await position(), '3');
  await new Promise((resolve) => setTimeout(resolve, 1200));
  process.kill(await first.pidOf('redis'), 'SIGKILL');
  await first.interrupt();

  const second = await startEdge(t, { stateDir });
  await kafka.produce('drill', [{ key: 'drill:4', value: '{"n":4}' }]);
  await eventually(
    () => item(second, 'drill:4'),
    (value) => String(value).includes('"n"'),
    60_000,
  );
  assert.equal(await position(), '4');
  assert.equal(await item(second, 'drill:1'), 'No value available in Redis');
});

test('RD-23: data, consumer groups and offsets survive a restart of everything, a killed Redis included', async (t) => {
  const stateDir = makeStateDir(t);
  const first = await startEdge(t, { stateDir });
  await everyModuleWorks(t, first);
  const stream = 'drill:stream';
  const before = operatorClient(t, stateDir);
  await before.xadd(stream, '1-1', 'n', '1');
  const groupsOf = async (redis: typeof before): Promise<string> =>
    JSON.stringify(await redis.call('XINFO', 'GROUPS', stream).catch(() => []));
  await eventually(
    () => groupsOf(before),
    (text) => text.includes('"last-delivered-id","1-1"') && text.includes('"pending",0'),
    30_000,
  );
  const own = await before.keys('iotedge-redis:*');
  // The append-only file goes to disk once a second; then the worst that can happen short of the disk.
  await eventually(
    async () => String(await before.call('INFO', 'persistence')),
    (text) => text.includes('aof_pending_bio_fsync:0'),
  );
  await new Promise((resolve) => setTimeout(resolve, 1200));
  process.kill(await first.pidOf('redis'), 'SIGKILL');
  await first.interrupt();

  const second = await startEdge(t, { stateDir });
  const after = operatorClient(t, stateDir);
  await eventually(
    () => item(second, 'ping'),
    (value) => value === 'pong',
    30_000,
  );
  assert.equal(await item(second, 'key2'), 'value2');
  // Modules that work again may have written further ones.
  const kept = new Set(await after.keys('iotedge-redis:*'));
  assert.deepEqual(
    own.filter((key) => !kept.has(key)),
    [],
  );
  assert.match(await groupsOf(after), /"last-delivered-id","1-1"/);
  await after.xadd(stream, '2-1', 'n', '2');
  const groups = await eventually(
    () => groupsOf(after),
    (text) => text.includes('"last-delivered-id","2-1"') && text.includes('"pending",0'),
    30_000,
  );
  // Read by the group that was there before, one entry each time: nothing was delivered twice.
  assert.match(groups, /"entries-read",2/);
});

test('RD-13: Redis does not start empty where data were; what was restored, or nothing on purpose, is taken', async (t) => {
  const stateDir = makeStateDir(t);
  const first = await startEdge(t, { stateDir });
  await first.invoke('redis-client', 'SetItem', 'before:the loss');
  await first.interrupt();
  const data = join(stateDir, 'volumes', 'redis-data');
  rmSync(join(data, 'appendonlydir'), { recursive: true });
  const second = await startEdge(t, { stateDir });
  const log = await eventually(
    () => second.ok('logs', 'redis'),
    (text) => text.includes('are gone'),
  );
  assert.match(log, /restore .*appendonlydir, or remove .*\.started to begin with nothing/);
  assert(!(await running(second)).includes('redis'));
  rmSync(join(data, '.started'));
  await eventually(
    () => second.invoke('redis-client', 'SetItem', 'after:the loss').then(JSON.stringify, String),
    (reply) => reply.includes('Written:True'),
    60_000,
  );
});

test('RD-25: Redis, the broker and all modules take less than 700 MB of a gateway even when they run from their sources', async (t) => {
  const edge = await startEdge(t);
  await everyModuleWorks(t, edge);
  const modules = (await edge.modules()).filter(({ name, pid }) => pid !== null && !name.startsWith('edge'));
  const sizes = modules.map(({ name, pid }) => {
    const kb = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${String(pid)}/status`, 'utf8'))?.[1] ?? '0';
    return { name, mb: Number(kb) / 1024 };
  });
  const sum = sizes.reduce((all, { mb }) => all + mb, 0);
  t.diagnostic(
    `${sizes.map(({ name, mb }) => `${name} ${mb.toFixed(0)} MB`).join(', ')}; together ${sum.toFixed(0)} MB`,
  );
  // Images run bundles with small heaps: their idle memory is held to a bound of its own, module by module.
  assert(sum < 700, `${sum.toFixed(0)} MB`);
});
