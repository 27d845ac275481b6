import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '../..');

function images(words: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const args = ['--conditions=source', 'build/images.ts', ...words];
  return spawnSync(process.execPath, args, {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, CONTAINER_REGISTRY_SERVER: 'localhost:5000', ...environment },
  });
}

test('without docker the command says what is missing, and that it can print what it would do', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'no-docker-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  symlinkSync(process.execPath, join(folder, 'node'));
  const { status, stderr } = images(['redis-client'], { PATH: folder });
  assert.equal(status, 1);
  assert.match(stderr, /^images: there is no program docker on the PATH\. .*--dry-run/);
});

test('a wrong word on the command line is refused before anything is built', () => {
  for (const words of [['--plattform', 'amd64'], ['redis-clint'], ['--platform', 'amd46']]) {
    const { status, stdout, stderr } = images(words);
    assert.deepEqual([status, stdout], [2, '']);
    assert.match(stderr, /^images: /);
  }
});

test('an image is built, knows its labels, runs as a user without rights, and tells its version', (t) => {
  const image = 'localhost:5000/iotedge-redis-client:0.1.0-test-amd64';
  const words = ['--platform', 'amd64', 'redis-client'];
  const dry = images([...words, '--dry-run'], { CONTAINER_TAG: 'test' });
  assert.equal(dry.status, 0, dry.stderr);
  assert.ok(dry.stdout.includes(` --tag ${image} `), dry.stdout);
  const docker = (...args: string[]) => spawnSync('docker', args, { encoding: 'utf8' });
  if (docker('version').status !== 0 || docker('buildx', 'version').status !== 0) {
    t.diagnostic('NOT BUILT: no Docker with buildx answers here, so only the commands were looked at');
    return;
  }
  t.after(() => docker('image', 'rm', '--force', image));
  const built = images(words, { CONTAINER_TAG: 'test' });
  assert.equal(built.status, 0, built.stdout + built.stderr);
  const { Config } = JSON.parse(docker('image', 'inspect', '--format', '{{json .}}', image).stdout) as {
    Config: { User: string; Labels: Record<string, string>; Entrypoint: string[] | null };
  };
  assert.equal(Config.User, '1000:1000');
  assert.equal(Config.Labels['org.opencontainers.image.title'], 'iotedge-redis-client');
  assert.deepEqual(Config.Entrypoint ?? [], []);
  const hardened = ['--rm', '--read-only', '--cap-drop=ALL', '--security-opt=no-new-privileges'];
  const main = 'modules/redis-client/bundle/main.js';
  const version = docker('run', ...hardened, image, 'node', main, '--version');
  assert.deepEqual([version.status, version.stdout], [0, '0.1.0\n'], version.stderr);
});
