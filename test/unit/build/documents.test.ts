import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { verbs } from '../../../local-edge/src/cli/verbs.ts';

const root = join(import.meta.dirname, '../../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

const documents = globSync(['*.md', 'docs/**/*.md', 'modules/*/README.md', 'local-edge/README.md'], {
  cwd: root,
});
const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };

/** Everything in a document that a reader may type or look up: `…` and the lines of shell blocks. */
function typed(text: string): string[] {
  const blocks = [...text.matchAll(/^```sh\n([^]*?)^```/gm)].flatMap(([, block = '']) =>
    block.replaceAll('\\\n', ' ').split('\n'),
  );
  const prose = text.replaceAll(/^```[^]*?^```/gm, '');
  return [...blocks, ...[...prose.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code)];
}

/** The names under which GitHub links to the headings of a document. */
function headingsOf(text: string): Set<string> {
  const headings = text.replaceAll(/^```[^]*?^```/gm, '').matchAll(/^#+ +(.+)$/gm);
  return new Set(
    [...headings].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

/** The options that a script of package.json knows, from the source that reads them. */
function optionsOf(script: string): string {
  const file = /node .*?(\S+\.ts)/.exec(scripts[script] ?? '')?.[1];
  return file === undefined ? '' : read(file);
}

for (const path of documents) {
  const text = read(path);

  test(`${path}: links lead to files that are there`, () => {
    for (const [, target = ''] of text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g))
      if (!/^https?:/.test(target)) assert.ok(existsSync(join(root, dirname(path), target)), target);
  });

  test(`${path}: links to a part of a document lead to a heading of it`, () => {
    for (const [, target = '', part = ''] of text.matchAll(/\]\(([^)#\s]*)#([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const other = target === '' ? text : read(join(dirname(path), target));
      assert.ok(headingsOf(other).has(part), `${target}#${part}`);
    }
  });

  test(`${path}: npm scripts, their options and edge verbs exist`, () => {
    for (const line of typed(text)) {
      for (const [, script = '', rest = ''] of line.matchAll(/npm run ([\w:-]+)(?: -- ([^#&;]*))?/g)) {
        assert.ok(Object.hasOwn(scripts, script), `npm run ${script}`);
        for (const [, option = ''] of rest.matchAll(/--([a-z][a-z-]*)/g))
          assert.match(
            optionsOf(script),
            new RegExp(`['" -]${option}['":]|\\b${option}:`),
            `${script} --${option}`,
          );
      }
      for (const [, words = ''] of line.matchAll(/npx edge ([a-z][a-z-]*(?: [a-z][a-z-]*)?)/g))
        if (!/^(help|start|VERB)/.test(words))
          assert.ok(
            verbs.some(({ name }) => `${words} `.startsWith(`${name} `)),
            `edge ${words}`,
          );
    }
  });

  test(`${path}: files of the repository that it names exist`, () => {
    for (const code of typed(text)) {
      const files = code.matchAll(
        /(?<![\w./-])((?:deploy|docs|modules|build|bench|test|local-edge)\/[\w./-]*[\w/])(?![\w*{./-]*[*{])/g,
      );
      for (const [, file = ''] of files) {
        // What is built or ignored is not in a clean checkout; capitals are names to fill in.
        const isMade = /\/(bundle|dist)\/|^deploy\/\.env$/.test(file);
        if (!isMade && !/[A-Z]{3,}/.test(file.replace(/README|Dockerfile/, '')))
          assert.ok(existsSync(join(root, file)), file);
      }
    }
  });
}

test('docs/operations.md names metrics that the modules have', () => {
  const sourcesOf = (module: string): string =>
    globSync(`modules/{common,${module.replaceAll('_', '-')}}/src/**/*.ts`, { cwd: root })
      .map(read)
      .join('\n');
  const names = typed(read('docs/operations.md')).flatMap((code) => [
    ...code.matchAll(/(redis_client|redis_sync|redis_snapshot|kafka_ingest|stream_to_mqtt)_([a-z_]+)/g),
  ]);
  assert.ok(names.length > 6);
  for (const [name, module = '', metric = ''] of names)
    assert.ok(sourcesOf(module).includes(`'${metric}'`), name);
});

test('docs/deploy.md names only variables that a module, a template or compose knows', () => {
  const known = [
    'docs/settings.md',
    '.env.template',
    'deploy/env.template',
    'build/images.ts',
    'build/dockerfile.ts',
  ]
    .map(read)
    .join('\n');
  for (const code of typed(read('docs/deploy.md')))
    for (const [name] of code.matchAll(/\b[A-Z]+(?:_[A-Z]+)+\b/g))
      assert.ok(new RegExp(`\\b${name.replace(/_FILE$/, '')}\\b`).test(known), name);
});
