/**
 * Writes the tables of settings from their declarations: `npm run docs`. The page of all modules, and in each module's
 * README what stands between the two marks.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { generated } from './settings-pages.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
for (const { path, content } of await generated(root)) {
  let before: string | undefined;
  try {
    before = readFileSync(`${root}${path}`, 'utf8');
  } catch {
    before = undefined;
  }
  if (before === content) continue;
  writeFileSync(`${root}${path}`, content);
  console.log(`${path}: written`);
}
