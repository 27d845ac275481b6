import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '../../../deploy/bicep');
const files = globSync('**/*.bicep', { cwd: root }).sort();

interface Template {
  readonly text: string;
  /** Parameters by name; true when one has a default. */
  readonly params: ReadonlyMap<string, boolean>;
  readonly outputs: readonly string[];
  /** Symbolic names of what the file declares. */
  readonly declared: ReadonlySet<string>;
}

function read(path: string): Template {
  const text = readFileSync(path, 'utf8').replaceAll(/^\s*\/\/.*$/gm, '');
  const params = new Map(
    [...text.matchAll(/^param (\w+) \w+( =)?/gm)].map(([, name = '', given]) => [name, given !== undefined]),
  );
  const declared = [...text.matchAll(/^(?:param|var|resource|module) (\w+)/gm)].map(([, name = '']) => name);
  const outputs = [...text.matchAll(/^output (\w+)/gm)].map(([, name = '']) => name);
  return { text, params, outputs, declared: new Set(declared) };
}

test('there is a template for the resource group, and each of its modules is there', () => {
  assert.deepEqual(files, [
    'main.bicep',
    'modules/iot-hub.bicep',
    'modules/managed-redis.bicep',
    'modules/snapshot-storage.bicep',
  ]);
});

for (const file of files) {
  const path = join(root, file);
  const template = read(path);

  test(`${file}: brackets are closed, nothing is declared twice, every parameter is used`, () => {
    for (const [open, close] of ['{}', '[]', '()'].map((pair) => pair.split('')))
      assert.equal(template.text.split(open ?? '').length, template.text.split(close ?? '').length, open);
    const names = [...template.text.matchAll(/^(?:param|var|resource|module) (\w+)/gm)].map(
      ([, name]) => name,
    );
    assert.equal(new Set(names).size, names.length);
    for (const name of template.params.keys())
      assert.ok(
        (template.text.match(new RegExp(`\\b${name}\\b`, 'g')) ?? []).length > 1,
        `${name} is unused`,
      );
  });

  test(`${file}: each module is called with the parameters that it has, and asked for outputs that it gives`, () => {
    for (const [, name = '', target = '', body = ''] of template.text.matchAll(
      /^module (\w+) '([^']+)' =[^{]*\{([^]*?)^\}/gm,
    )) {
      const there = join(dirname(path), target);
      assert.ok(existsSync(there), target);
      const called = read(there);
      const block = /params: \{([^]*?)\n {2}\}/.exec(body)?.[1] ?? '';
      const given = [...block.matchAll(/^ {4}(\w+):/gm)].map(([, param]) => param);
      for (const param of given) assert.ok(called.params.has(param ?? ''), `${target} has no ${param}`);
      for (const [param, hasDefault] of called.params)
        assert.ok(hasDefault || given.includes(param), `${name} does not pass ${param}`);
      for (const [, output = ''] of template.text.matchAll(new RegExp(`\\b${name}\\.outputs\\.(\\w+)`, 'g')))
        assert.ok(called.outputs.includes(output), `${target} gives no ${output}`);
    }
  });

  test(`${file}: every resource names its API version`, () => {
    for (const [, type = ''] of template.text.matchAll(/^resource \w+ '([^']+)'/gm))
      assert.match(type, /^Microsoft\.\w+(\/\w+)+@20\d\d-\d\d-\d\d$/);
  });
}

test('the storage of snapshots is private and takes TLS only', () => {
  const { text } = read(join(root, 'modules/snapshot-storage.bicep'));
  assert.match(text, /allowBlobPublicAccess: false/);
  assert.match(text, /supportsHttpsTrafficOnly: true/);
  assert.match(text, /publicAccess: 'None'/);
});
