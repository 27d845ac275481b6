import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { generated } from '../../../docs/settings-pages.ts';

const root = join(import.meta.dirname, '../../..');

test('the documented settings are those that the modules declare', async () => {
  const pages = await generated(root);
  assert.ok(pages.some(({ path }) => path === 'modules/redis-client/README.md'));
  for (const { path, content } of pages) {
    const written = await readFile(join(root, path), 'utf8').catch(() => '');
    assert.ok(
      written === content,
      `${path} does not show the settings as they are declared; run: npm run docs`,
    );
  }
});
