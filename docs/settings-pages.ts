import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Fields } from '@iotedge-redis/common';
import { allFields, commonFields, settingsTable } from '@iotedge-redis/common';

const BEGIN = '<!-- settings -->';
const END = '<!-- /settings -->';

interface Page {
  /** Relative to the root of the repository. */
  readonly path: string;
  readonly content: string;
}

interface Declared {
  readonly name: string;
  readonly fields: Fields;
}

/** Every module declares its own settings as `fields` in `src/settings.ts`. */
async function declarations(root: string): Promise<readonly Declared[]> {
  const files = globSync('modules/*/src/settings.ts', { cwd: root, exclude: ['modules/common/**'] }).sort();
  const found: Declared[] = [];
  for (const file of files) {
    const { fields } = (await import(pathToFileURL(join(root, file)).href)) as { readonly fields?: Fields };
    if (!fields) throw new Error(`${file}: expected it to export the settings of its module as "fields"`);
    found.push({ name: file.split(/[\\/]/)[1] ?? '', fields });
  }
  return found;
}

function settingsPage(modules: readonly Declared[]): string {
  const chapters = modules.map(({ name, fields }) => `## ${name}\n\n${settingsTable(fields)}\n`);
  return `# Settings

Every module takes its settings from the same places; the later one wins: default, config file (\`--config-file FILE\`:
NAME=VALUE lines, or one JSON object), environment, command line, and, where a twin name is given, desired properties. A
desired \`null\` means "as the host says". All mistakes are told at once, by name. This page is written by \`npm run docs\`.

## Every module

${settingsTable(commonFields)}

${chapters.join('\n')}`;
}

/** The README with the table between its marks; undefined when it has none. */
function withTable(readme: string, table: string): string | undefined {
  const begin = readme.indexOf(BEGIN);
  const end = readme.indexOf(END);
  if (begin < 0 || end < begin) return undefined;
  return `${readme.slice(0, begin)}${BEGIN}\n\n${table}\n\n${readme.slice(end)}`;
}

/** Everything that is written from the declarations, as it should be. */
export async function generated(root: string): Promise<readonly Page[]> {
  const modules = await declarations(root);
  const pages: Page[] = [{ path: 'docs/settings.md', content: settingsPage(modules) }];
  for (const module of modules) {
    const path = `modules/${module.name}/README.md`;
    const readme = existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8') : '';
    const content = withTable(readme, settingsTable(allFields(module)));
    if (content === undefined) throw new Error(`${path}: expected ${BEGIN} and, after it, ${END}`);
    pages.push({ path, content });
  }
  return pages;
}
