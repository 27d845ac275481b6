import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { startEdgeBed } from '../helpers/edge-hub-bed.ts';
import { startModuleProcess } from '../helpers/module-process.ts';
import { startRedis } from '../helpers/redis.ts';

const CLIENT = 'modules/redis-client/src/main.ts';
const ODD = 'test/helpers/odd-module.ts';
/** A line as edgeAgent parses it. */
const LINE = /^<[03467]> \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \+00:00 \[[A-Z]{3}\] /;

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'runner-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

test('a module starts, serves, and ends cleanly when told to', async (t) => {
  const redis = await startRedis(t);
  const environment = { REDIS_HOST: redis.host, REDIS_PORT: String(redis.port) };
  const module = await startModuleProcess(t, CLIENT, { environment });
  await module.until(/module is ready/);
  assert.equal((await module.get('/readyz')).status, 200);
  assert.equal((await module.get('/healthz')).status, 200);
  assert.match((await module.get('/metrics')).text, /^redis_client_ready 1$/m);
  assert.deepEqual(await module.call('SetItem', 'ping:pong'), {
    status: 200,
    payload: { Message: "Written:True => key = 'ping', value = 'pong'", Status: 200 },
  });
  assert.equal((await module.call('GetItem', 'ping')).status, 200);
  assert.equal((await module.call('GetItem', 'nobody')).status, 404);
  assert.match((await module.get('/reported')).text, /"health":\{"state":"ok"/);
  const begin = performance.now();
  module.kill('SIGTERM');
  assert.deepEqual(await module.ended, { code: 0, signal: null });
  assert.ok(performance.now() - begin < 2000);
  assert.match(module.lines().at(-1) ?? '', /^<6> .*\[INF\] module stopped \{"signal":"SIGTERM"\}$/);
  for (const line of module.lines()) assert.match(line, LINE);
  assert.equal(module.errors(), '');
});

test('a module whose Redis is away lives, says what is wrong, and is ready when it comes', async (t) => {
  const redis = await startRedis(t);
  await redis.kill('SIGTERM');
  const environment = { REDIS_ENDPOINT: `${redis.host}:${redis.port}` };
  const module = await startModuleProcess(t, CLIENT, { environment });
  await module.until(/did not start and is tried again/);
  assert.equal((await module.get('/healthz')).status, 200);
  const { status, text } = await module.get('/readyz');
  assert.equal(status, 503);
  assert.match(text, new RegExp(`127\\.0\\.0\\.1:${redis.port}`));
  assert.equal((await module.call('GetItem', 'ping')).status, 503);
  await redis.restart();
  await module.until(/module is ready/, 3000);
  assert.equal((await module.call('SetItem', 'a:b')).status, 200);
});

test('wrong settings end the start with exit code 1 and every mistake, without values', async (t) => {
  const dir = await folder(t);
  const file = join(dir, 'env.conf');
  await writeFile(file, 'REDIS_HSOT=hunter2\nREDIS_PASSWORD=hunter2\n');
  const module = await startModuleProcess(t, CLIENT, {
    args: ['--config-file', file],
    environment: { HTTP_PORT: 'hunter2', REDIS_PORT: '70000', LOG_LEVEL: 'hunter2', READ_ONLY: 'maybe' },
  });
  assert.deepEqual(await module.ended, { code: 1, signal: null });
  const text = module.output();
  for (const name of ['REDIS_HSOT', 'HTTP_PORT', 'REDIS_PORT', 'LOG_LEVEL', 'READ_ONLY'])
    assert.match(text, new RegExp(`<3> .*\\[ERR\\] setting ${name}: `), name);
  assert.match(text, /setting REDIS_HSOT: unknown; did you mean REDIS_HOST\?/);
  assert.match(module.lines().at(-1) ?? '', /<0> .*cannot start with these settings \{"mistakes":5\}/);
  assert.doesNotMatch(text + module.errors(), /hunter2/);
});

test('a config file that is not there, and an unknown option, end the start as well', async (t) => {
  const missing = await startModuleProcess(t, CLIENT, { args: ['--config-file', '/not/there.conf'] });
  const unknown = await startModuleProcess(t, CLIENT, { args: ['--log-levle', 'debug'] });
  assert.deepEqual([(await missing.ended).code, (await unknown.ended).code], [1, 1]);
  assert.match(
    missing.output(),
    /setting --config-file: expected .* can be read \(ENOENT\): \/not\/there.conf/,
  );
  assert.match(unknown.output(), /setting --log-levle: unknown; did you mean --log-level\?/);
});

test('a config file counts less than the environment, and the command line more', async (t) => {
  const dir = await folder(t);
  const file = join(dir, 'env.conf');
  await writeFile(file, 'NOTE=file\nINSTANCE_NAME=from-file\nLOG_LEVEL=error\n');
  const module = await startModuleProcess(t, ODD, {
    args: ['--config-file', file, '--log-level=debug'],
    environment: { INSTANCE_NAME: 'from-environment', LOG_LEVEL: 'fatal' },
  });
  await module.until(/module is ready/);
  assert.match(module.output(), /"instance":"from-environment"/);
  const health = await module.call('Health', null);
  assert.equal(health.status, 200);
  assert.match(module.output(), /^<7> /m);
});

test('what is no flag in V8_FLAGS_WHEN_UP is told once and set aside, and the module runs on', async (t) => {
  const environment = { V8_FLAGS_WHEN_UP: '"hunter2", --help, --no-such-flag' };
  const module = await startModuleProcess(t, ODD, { environment });
  await module.until(/V8_FLAGS_WHEN_UP: flags changed nothing/);
  const told = module.lines().filter((line) => line.includes('V8_FLAGS_WHEN_UP'));
  assert.match(told[0] ?? '', /^<4> .*entries are left out.*"entries":\[1,2\]/);
  assert.match(told[1] ?? '', /^<6> .*"flags":\["--no-such-flag"\]/);
  assert.equal(told.length, 2);
  for (const line of module.lines()) assert.match(line, LINE);
  assert.doesNotMatch(module.output() + module.errors(), /hunter2/);
  assert.equal((await module.get('/healthz')).status, 200);
});

test('--help shows the settings and no values, --version the version', async (t) => {
  const environment = { REDIS_PASSWORD: 'hunter2', HTTP_PORT: 'wrong' };
  const help = await startModuleProcess(t, CLIENT, { args: ['--help'], environment });
  const version = await startModuleProcess(t, ODD, { args: ['--version'], environment });
  assert.deepEqual([(await help.ended).code, (await version.ended).code], [0, 0]);
  assert.match(help.output(), /^redis-client \d+\.\d+\.\d+\n\nUsage: node main\.js/);
  assert.match(help.output(), /\n {2}REDIS_PASSWORD\n/);
  assert.doesNotMatch(help.output(), /hunter2/);
  assert.equal(version.output(), '9.8.7\n');
});

for (const [what, odd, message] of [
  ['an exception that nobody caught', 'throws', 'first line'],
  ['a rejection that nobody handled', 'rejects', 'nobody waits'],
] as const) {
  test(`${what} is one fatal line and exit code 1`, async (t) => {
    const module = await startModuleProcess(t, ODD, { environment: { ODD: odd } });
    assert.deepEqual(await module.ended, { code: 1, signal: null });
    const fatal = module.lines().filter((line) => line.startsWith('<0>'));
    assert.equal(fatal.length, 1);
    assert.ok(fatal[0]?.includes(message), fatal[0]);
    for (const line of module.lines()) assert.match(line, LINE);
    assert.doesNotMatch(module.output(), /hunter2/);
    assert.equal(module.errors(), '');
  });
}

test('a method under way is answered before the module ends', async (t) => {
  const module = await startModuleProcess(t, ODD);
  await module.until(/module is ready/);
  const reply = module.call('Slow', null);
  await new Promise((resolve) => setTimeout(resolve, 100));
  module.kill('SIGINT');
  assert.deepEqual(await reply, { status: 200, payload: 'slept' });
  assert.deepEqual(await module.ended, { code: 0, signal: null });
});

test('a part that hangs is left behind in time, with exit code 1', async (t) => {
  const module = await startModuleProcess(t, ODD, { environment: { ODD: 'hangs', STOP_DEADLINE_MS: '800' } });
  await module.until(/module is ready/);
  const begin = performance.now();
  module.kill('SIGTERM');
  assert.deepEqual(await module.ended, { code: 1, signal: null });
  const took = performance.now() - begin;
  assert.ok(took >= 590 && took < 1200, String(took));
  assert.match(module.output(), /stopping a part failed \{"part":"part"/);
  assert.match(module.lines().at(-1) ?? '', /module stopped/);
});

test('a part that fails to stop does not hold up the rest, and costs the exit code', async (t) => {
  const module = await startModuleProcess(t, ODD, { environment: { ODD: 'fails' } });
  await module.until(/module is ready/);
  module.kill('SIGTERM');
  assert.deepEqual(await module.ended, { code: 1, signal: null });
  assert.match(module.output(), /stopping a part failed \{"part":"part","error":"stopping: broken"\}/);
});

test('a module whose part cannot start yet ends cleanly', async (t) => {
  const module = await startModuleProcess(t, ODD, { environment: { ODD: 'cannot start' } });
  await module.until(/module starts/);
  module.kill('SIGTERM');
  assert.deepEqual(await module.ended, { code: 0, signal: null });
});

test('a second signal ends it at once', async (t) => {
  const module = await startModuleProcess(t, ODD, { environment: { ODD: 'hangs' } });
  await module.until(/module is ready/);
  module.kill('SIGTERM');
  await module.until(/module stops/);
  const begin = performance.now();
  module.kill('SIGTERM');
  assert.deepEqual(await module.ended, { code: 1, signal: null });
  assert.ok(performance.now() - begin < 500);
  assert.match(module.lines().at(-1) ?? '', /<4> .*told to stop again: now/);
});

test('a port in use is told with the setting to change', async (t) => {
  const first = await startModuleProcess(t, ODD);
  await first.until(/module is ready/);
  const second = await startModuleProcess(t, ODD, { environment: { HTTP_PORT: String(first.port) } });
  assert.equal((await second.ended).code, 1);
  assert.match(
    second.output(),
    new RegExp(`setting HTTP_PORT: port ${first.port} is in use by another program`),
  );
});

test('a command writes its result, and nothing else, to its standard output', async (t) => {
  const module = await startModuleProcess(t, ODD, { args: ['sum'] });
  assert.deepEqual(await module.ended, { code: 3, signal: null });
  assert.equal(module.output(), '{"total":5}\n');
  assert.match(module.errors(), /<6> .*\[INF\] summing up\n$/);
});

test('a command that is told to stop may end its work', async (t) => {
  const module = await startModuleProcess(t, ODD, { args: ['sum'], environment: { ODD: 'waits' } });
  while (!module.errors().includes('summing up')) await new Promise((resolve) => setTimeout(resolve, 10));
  module.kill('SIGTERM');
  assert.deepEqual(await module.ended, { code: 4, signal: null });
});

test('a module works without edgeHub as the twin said last (AM-1)', async (t) => {
  const STATE_DIR = await folder(t);
  const redis = await startRedis(t);
  const bed = await startEdgeBed(t);
  const environment = {
    ...(await bed.environment('redis-client')),
    NODE_EXTRA_CA_CERTS: join(bed.stateDir, 'ca.pem'),
    STATE_DIR,
    REDIS_ENDPOINT: '127.0.0.1:1',
  };
  const first = await startModuleProcess(t, CLIENT, { environment });
  await first.until(/did not start and is tried again/);
  bed.hub.twins.patchDesired('redis-client', {
    desired: { endpoint: `${redis.host}:${redis.port}`, readOnly: true },
  });
  await first.until(/module is ready/);
  first.kill('SIGTERM');
  assert.equal((await first.ended).code, 0);

  await bed.stop();
  const second = await startModuleProcess(t, CLIENT, { environment });
  await second.until(/module is ready/);
  const { text } = await second.get('/readyz');
  assert.match(text, /"ready":true/);
  assert.equal((await second.get('/methods/GetItem')).status, 404);
  second.kill('SIGTERM');
  assert.equal((await second.ended).code, 0);
});
