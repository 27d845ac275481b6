import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { createCa, issueCertificate } from '../../local-edge/src/certificate-authority.ts';
import { findKafka } from '../../local-edge/src/services/find-kafka.ts';
import { refused } from '../acl-lists.ts';
import {
  everyModuleWorks,
  generated,
  ingestWorks,
  item,
  running,
  sampleKafka,
  withoutSamples,
} from '../helpers/deployed-edge.ts';
import { makeStateDir, manifestOf, plainEnvironment, startEdge } from '../helpers/edge-process.ts';
import { operatorClient, operatorLogin } from '../helpers/operator.ts';
import { DEPLOYED_VERSION, findDeployedRedis } from '../helpers/redis-versions.ts';
import { eventually } from '../helpers/site.ts';

/** `user command` of what Redis refused, but for what a module is known to try and to do without. */
async function denied(operator: ReturnType<typeof operatorClient>): Promise<string[]> {
  const entries = (await operator.call('ACL', 'LOG')) as unknown[][];
  const field = (entry: unknown[], name: string): string => String(entry[entry.indexOf(name) + 1]);
  return entries
    .map((entry) => [field(entry, 'username'), field(entry, 'object')] as const)
    .filter(([user, command]) => refused[user]?.includes(command) !== true)
    .map((pair) => pair.join(' '));
}

test('the generated file is what the local edge runs: modules leave and come as edgeAgent would have them', async (t) => {
  const edge = await startEdge(t, { flags: withoutSamples });
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
  const edge = await startEdge(t, { flags: withoutSamples });
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
  const edge = await startEdge(t, { env: plainEnvironment(sampleKafka) });
  await everyModuleWorks(t, edge);
  await ingestWorks(edge);
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
  assert.deepEqual(await denied(operator), [], 'nobody asked for what is not permitted');
  const flags = (await operator.call('ACL', 'GETUSER', 'default')) as unknown[];
  assert.deepEqual(flags[1], ['off'], 'the default user is off and has no password that fits everything');

  const passwords = names.map((name) =>
    readFileSync(join(edge.stateDir, 'run', '.volumes', `${name}-secrets`, 'redis'), 'utf8'),
  );
  assert.equal(new Set(passwords).size, names.length);
  for (const name of ['FLUSHALL', 'CONFIG|SET', 'KEYS', 'SHUTDOWN', 'ACL|SETUSER', 'MIGRATE'])
    for (const user of names) {
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

test('RD-26: with the Redis that the image of the template names, every module works as its user', async (t) => {
  await findKafka();
  const stateDir = makeStateDir(t);
  const { command, args } = await findDeployedRedis();
  const programs = join(stateDir, 'programs');
  mkdirSync(programs);
  const words = [command, ...args].map((word) => `'${word}'`).join(' ');
  writeFileSync(join(programs, 'redis-server'), `#!/bin/sh\nexec ${words} "$@"\n`, { mode: 0o755 });
  const env = plainEnvironment({ ...sampleKafka, PATH: `${programs}:${process.env['PATH'] ?? ''}` });
  const edge = await startEdge(t, { stateDir, env });
  await everyModuleWorks(t, edge);
  await ingestWorks(edge);
  const operator = operatorClient(t, stateDir);
  const version = /^redis_version:(.*)$/m.exec(await operator.info('server'))?.[1] ?? '';
  assert(version.startsWith(`${DEPLOYED_VERSION}.`), version);
  assert.deepEqual(await denied(operator), [], 'nobody asked for what is not permitted');
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
    ...sampleKafka,
    REDIS_TLS: 'on',
    REDIS_ENDPOINT: 'rediss://redis:6379',
    REDIS_TLS_FOLDER: tls,
    REDIS_CA_FOLDER: trust,
  });
  const edge = await startEdge(t, { stateDir, env });
  await everyModuleWorks(t, edge);
  await ingestWorks(edge);
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

test('RD-25: Redis, the broker and all modules take less than 700 MB of a gateway even when they run from their sources', async (t) => {
  const edge = await startEdge(t);
  await everyModuleWorks(t, edge);
  const { modules: deployed } = manifestOf(edge).modulesContent.$edgeAgent['properties.desired'];
  const modules = (await edge.modules()).filter(({ name }) => Object.hasOwn(deployed, name));
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
