import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { expandTemplate } from '../../../local-edge/src/manifest/expand-template.ts';
import { readTemplate } from '../../../local-edge/src/manifest/read-template.ts';

type Files = Readonly<Record<string, string | Buffer>>;

function folder(t: TestContext, files: Files): string {
  const dir = mkdtempSync(join(tmpdir(), 'template-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  mkdirSync(join(dir, 'modules/echo'), { recursive: true });
  const all: Files = { 'deployment.template.json': '{"modulesContent":{}}', ...files };
  for (const [name, content] of Object.entries(all)) writeFileSync(join(dir, name), content);
  return dir;
}

const utf16 = (text: string): Buffer => Buffer.from(`\uFEFF${text}`, 'utf16le');
const bigEndian = (text: string): Buffer => utf16(text).swap16();
const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');

const unreadable: readonly (readonly [string, Files, RegExp])[] = [
  ['a .env in UTF-16', { '.env': utf16('A=1\n') }, /\.env .*is UTF-16, not UTF-8\. Save it as UTF-8\.$/],
  ['a .env in UTF-16, the other way round', { '.env': bigEndian('A=1\n') }, /\.env .*is UTF-16, not UTF-8/],
  ['a .env in UTF-16 without a mark', { '.env': Buffer.from('A=1\n', 'utf16le') }, /\.env .*is UTF-16/],
  ['a .env in Latin-1', { '.env': latin1('A=ä\n') }, /\.env .*is not UTF-8\. Save it as UTF-8\.$/],
  ['a template in UTF-16', { 'deployment.template.json': utf16('{}') }, /template\.json .*is UTF-16/],
  [
    "a module's .env in UTF-16",
    { 'modules/echo/module.json': '{}', 'modules/echo/.env': utf16('A=1') },
    /modules\/echo\/\.env .*is UTF-16/,
  ],
];
for (const [title, files, message] of unreadable) {
  test(`RD-17: ${title} is one clear error`, async (t) => {
    const dir = folder(t, files);
    await assert.rejects(readTemplate({ templatePath: join(dir, 'deployment.template.json'), env: {} }), {
      code: 'INVALID_INPUT',
      message,
    });
  });
}

test('RD-17: lines of .env files that set nothing, though they are no comment, are told by file and line', async (t) => {
  const dir = folder(t, {
    '.env': 'A=1\nB="hunter2\n',
    'modules/echo/module.json': '{}',
    'modules/echo/.env': "C='x' y\n",
  });
  const input = await readTemplate({ templatePath: join(dir, 'deployment.template.json'), env: {} });
  const { findings } = expandTemplate(input);
  const told = findings.filter(({ problem }) => problem.includes('quote'));
  assert.deepEqual(
    told.map(({ severity, path }) => [severity, path]),
    [
      ['warning', '.env:2'],
      ['warning', 'modules/echo/.env:1'],
    ],
  );
  assert.doesNotMatch(JSON.stringify(findings), /hunter2/);
});
