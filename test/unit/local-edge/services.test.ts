import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { EdgeError } from '../../../local-edge/src/errors.ts';
import { buildOnce, cacheFolder } from '../../../local-edge/src/services/cache.ts';
import { runCommand } from '../../../local-edge/src/services/command.ts';
import { findExecutable } from '../../../local-edge/src/services/find-executable.ts';
import { findProgram, findServer } from '../../../local-edge/src/services/find-server.ts';

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'services-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

function fill(dir: string): Promise<void> {
  writeFileSync(join(dir, 'file'), 'x');
  return Promise.resolve();
}

function program(dir: string, name: string, script: string): string {
  const path = join(dir, name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

const addresses: readonly (readonly [string, string | null])[] = [
  ['127.0.0.1:6379', '127.0.0.1 6379'],
  ['localhost:7000', 'localhost 7000'],
  ['[::1]:7000', '::1 7000'],
  ['redis.example:6379', null],
  ['10.0.0.1:6379', null],
  ['127.0.0.1', null],
  ['127.0.0.1:0', null],
  ['127.0.0.1:70000', null],
];
for (const [address, expected] of addresses) {
  test(`${expected === null ? 'refuses' : 'uses'} the address ${address}`, async () => {
    const found = findServer('redis', { env: { EDGE_REDIS_ADDRESS: address }, ways: [] });
    if (expected === null) {
      await assert.rejects(
        found,
        (error) => error instanceof EdgeError && /EDGE_REDIS_ADDRESS.*127\.0\.0\.1:6379/.test(error.message),
      );
      return;
    }
    const server = await found;
    assert(server.kind === 'address');
    assert.equal(`${server.host} ${server.port}`, expected);
  });
}

test('takes a program on PATH, and the one of the service first', async (t) => {
  const dir = folder(t);
  program(dir, 'valkey-server', 'echo "Valkey server v=9.9.9"');
  const valkey = await findProgram('redis', { env: { PATH: dir }, ways: ['path'] });
  // The folders of system programs are looked at as well, but after PATH.
  assert.match(valkey.version, /^\d+\.\d+\.\d+$/);
  const redis = program(dir, 'redis-server', 'echo "Redis server v=7.7.7 sha=0"');
  const found = await findProgram('redis', { env: { PATH: dir }, ways: ['path'] });
  assert.deepEqual(
    [found.kind, found.program, found.command, found.version],
    ['path', 'redis-server', redis, '7.7.7'],
  );
});

test('says what does not run and which choices there are', async (t) => {
  const dir = folder(t);
  program(dir, 'redis-server', 'echo "cannot open shared object" >&2; exit 127');
  const found = findProgram('redis', { env: { PATH: dir }, ways: ['path'] });
  await assert.rejects(found, (error) => {
    assert(error instanceof EdgeError);
    assert.equal(error.code, 'SERVICE_MISSING');
    assert.match(error.message, /redis-server does not run: cannot open shared object/);
    for (const choice of ['EDGE_REDIS_ADDRESS', 'PATH', 'Docker', 'Python 3.11'])
      assert(error.message.includes(choice));
    return true;
  });
});

test('does not take a file that cannot be executed', async (t) => {
  const dir = folder(t);
  writeFileSync(join(dir, 'redis-server'), '');
  assert.equal(await findExecutable(['redis-server'], [dir]), null);
});

test('keeps its cache where XDG says, else in the home folder', () => {
  assert.equal(cacheFolder({ XDG_CACHE_HOME: '/x/cache', HOME: '/home/u' }), '/x/cache/iotedge-redis');
  assert.equal(cacheFolder({ XDG_CACHE_HOME: 'relative', HOME: '/home/u' }), '/home/u/.cache/iotedge-redis');
});

test('builds once, however many ask at the same time', async (t) => {
  const target = join(folder(t), 'deep', 'thing');
  let builds = 0;
  const build = async (dir: string) => {
    builds++;
    await new Promise((resolve) => setTimeout(resolve, 20));
    writeFileSync(join(dir, 'file'), 'x');
  };
  const answers = await Promise.all([1, 2, 3, 4].map(() => buildOnce(target, build)));
  assert.deepEqual(new Set(answers), new Set([target]));
  assert.equal(builds, 1);
  assert(existsSync(join(target, 'file')));
});

test('leaves nothing behind when building fails, and builds at the next call', async (t) => {
  const dir = folder(t);
  const target = join(dir, 'thing');
  await assert.rejects(
    buildOnce(target, () => Promise.reject(new Error('no network'))),
    /no network/,
  );
  assert.deepEqual(readdirSync(dir), []);
  await buildOnce(target, fill);
  assert.deepEqual(readdirSync(dir), ['thing']);
});

test('takes over from a process that died while it built', async (t) => {
  const dir = folder(t);
  const dead = spawn(process.execPath, ['-e', '0']);
  await once(dead, 'exit');
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'thing.lock'), String(dead.pid));
  const target = join(dir, 'thing');
  await buildOnce(target, fill);
  assert.deepEqual(readdirSync(dir), ['thing']);
});

test('runs the image in Docker on a loopback port, with the current folder', async (t) => {
  const dir = folder(t);
  const docker = `case "$1" in
    info) echo 28.0.0 ;;
    image) exit 0 ;;
    run) case " $* " in *" --version "*) echo "Redis server v=8.8.8" ;; *) for one; do echo "$one"; done ;; esac ;;
  esac`;
  program(dir, 'docker', docker);
  const env = { PATH: `${dir}:/usr/bin:/bin`, XDG_CACHE_HOME: join(dir, 'cache') };
  const found = await findProgram('redis', {
    env,
    ways: ['docker'],
    say: () => assert.fail('nothing is to be fetched'),
  });
  assert.deepEqual([found.kind, found.version], ['docker', '8.8.8']);
  const result = await runCommand(found.command, ['--save', 'a b', '--port', '7000', '--bind', '127.0.0.1'], {
    env,
    cwd: dir,
  });
  const words = result.stdout.trim().split('\n');
  const after = (word: string) => words[words.indexOf(word) + 1];
  assert.equal(after('--publish'), '127.0.0.1:7000:7000');
  assert.equal(after('--volume'), `${dir}:${dir}`);
  assert.equal(after('--workdir'), dir);
  const image = words.indexOf('redis:8-alpine');
  assert.deepEqual(words.slice(image + 1), [
    ...['--save', 'a b', '--port', '7000'],
    ...['--bind', '0.0.0.0', '--protected-mode', 'no'],
  ]);
});

test('does not take a Docker whose daemon is not running', async (t) => {
  const dir = folder(t);
  program(dir, 'docker', 'echo "Cannot connect to the Docker daemon" >&2; exit 1');
  const found = findProgram('redis', {
    env: { PATH: `${dir}:/usr/bin:/bin`, XDG_CACHE_HOME: dir },
    ways: ['docker'],
  });
  await assert.rejects(found, /No redis server was found/);
});
