import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { projectWith } from '../../helpers/broken-project.ts';

const program = join(import.meta.dirname, '../../../build/manifest.ts');

function run(root: string, ...args: readonly string[]): { code: number | null; out: string; err: string } {
  const env = { PATH: process.env['PATH'] };
  const all = ['--conditions=source', program, '--root', root, '--platform', 'amd64', ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, all, { encoding: 'utf8', env });
  return { code: status, out: stdout, err: stderr };
}

test('npm run manifest writes a manifest of which nothing is to be said, and only then ends with 0', (t) => {
  const root = projectWith(t, () => undefined);
  const written = join(root, 'config/deployment.amd64.json');
  const checked = run(root, '--check');
  assert.equal(checked.code, 0, checked.err);
  assert.ok(!existsSync(written));
  assert.equal(run(root).code, 0);
  assert.ok(existsSync(written));
});

test('without .env every missing variable is named, and the last line says what to begin with', (t) => {
  const root = projectWith(t, () => undefined);
  rmSync(join(root, '.env'));
  const { code, out, err } = run(root);
  assert.equal(code, 1);
  assert.equal(out, '');
  assert.match(err, /\$\{REDIS_IMAGE\} is not set/);
  assert.match(err.trimEnd().split('\n').at(-1) ?? '', /There is no \.env.*cp \.env\.template \.env$/);
  assert.ok(!existsSync(join(root, 'config/deployment.amd64.json')));
});

test('a place that cannot be written, or has no template, is told in one line with what to do', (t) => {
  const root = projectWith(t, () => undefined);
  writeFileSync(join(root, 'config'), '');
  const blocked = run(root);
  assert.equal(blocked.code, 1);
  assert.match(
    blocked.err,
    /config\/deployment\.amd64\.json cannot be written \(EEXIST\)\. .*config must be a folder/,
  );
  const empty = run(join(root, 'modules'));
  assert.equal(empty.code, 1);
  assert.match(
    empty.err,
    /^\S+deployment\.template\.json .* does not exist\. Name the folder .* with --root DIR\.$/m,
  );
  for (const { err } of [blocked, empty]) assert.doesNotMatch(err, /^\s+at /m);
});

test('npm run manifest and npm run images take the same platform, and an empty DEFAULT_PLATFORM for none', (t) => {
  const root = projectWith(t, () => undefined);
  const script = (name: string, platform: string, ...args: string[]): string => {
    const env = { PATH: process.env['PATH'], DEFAULT_PLATFORM: platform };
    const file = join(import.meta.dirname, '../../../build', name);
    const all = ['--conditions=source', file, ...args];
    const { stdout, stderr } = spawnSync(process.execPath, all, { encoding: 'utf8', env });
    return stdout + stderr;
  };
  const deployed = (platform: string): string | undefined =>
    /deployment\.(\w+)\.json/.exec(script('manifest.ts', platform, '--root', root, '--check'))?.[1];
  const built = (platform: string): string | undefined =>
    /Dockerfile\.(\w+)/.exec(script('images.ts', platform, '--dry-run', 'redis-client'))?.[1];
  const ofThisMachine = { arm64: 'arm64v8', arm: 'arm32v7' }[process.arch as string] ?? 'amd64';
  for (const platform of ['', 'arm64v8']) {
    const expected = platform === '' ? ofThisMachine : platform;
    assert.deepEqual([deployed(platform), built(platform)], [expected, expected]);
  }
});
