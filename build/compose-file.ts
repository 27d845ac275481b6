/** `npm run compose`: writes deploy/compose.yaml from deployment.template.json. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Fields } from '@iotedge-redis/common';
import { allFields } from '@iotedge-redis/common';
import { parseDotenv } from '../local-edge/src/manifest/dotenv.ts';
import type { ComposeInput } from './compose.ts';
import { compose } from './compose.ts';
import { readImageModules } from './image-modules.ts';

/** The file as it should be. */
export async function composeFile(root: string): Promise<string> {
  const read = (path: string): string => readFileSync(join(root, path), 'utf8');
  const modules = await Promise.all(
    readImageModules(root).map(async ({ name, title, version }) => {
      const url = pathToFileURL(join(root, 'modules', name, 'src/settings.ts')).href;
      const { fields } = (await import(url)) as { fields: Fields };
      return { name, title, version, settings: allFields({ name, fields }) };
    }),
  );
  return compose({
    template: JSON.parse(read('deployment.template.json')) as ComposeInput['template'],
    defaults: parseDotenv(read('.env.template'), {}),
    modules,
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  const path = join(root, 'deploy/compose.yaml');
  const content = await composeFile(root);
  if (!existsSync(path) || readFileSync(path, 'utf8') !== content) {
    writeFileSync(path, content);
    console.log('deploy/compose.yaml: written');
  }
}
