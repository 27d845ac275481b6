/** `npm run dockerfiles`: writes the Dockerfiles of every module with a module.json, for every platform. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { dockerfile, platforms } from './dockerfile.ts';
import { readImageModules } from './image-modules.ts';

/** Every Dockerfile of the repository, by its path relative to the root. */
export function dockerfiles(root: string): Map<string, string> {
  const modules = readImageModules(root);
  const names = modules.map((module) => module.name);
  return new Map(
    modules.flatMap((module) =>
      platforms.map((platform): [string, string] => [
        `modules/${module.name}/Dockerfile.${platform}`,
        dockerfile(module, platform, names),
      ]),
    ),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  for (const [path, content] of dockerfiles(root)) {
    const file = join(root, path);
    if (existsSync(file) && readFileSync(file, 'utf8') === content) continue;
    writeFileSync(file, content);
    console.log(`${path}: written`);
  }
}
