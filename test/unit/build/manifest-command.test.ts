import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
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
