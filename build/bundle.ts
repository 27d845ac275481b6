/**
 * `node build/bundle.ts NAME…`: makes modules/NAME/bundle from its sources: what an image runs. One file and what is loaded later on
 * demand, since resolving and reading some hundred files is most of the time that a module needs to start.
 */
import { existsSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** The bundle's entry: what a module's images start. */
export async function bundle(name: string): Promise<string> {
  const entry = join(root, 'modules', name, 'src', 'main.ts');
  if (!existsSync(entry)) throw new Error(`${entry} does not exist: there is no module ${name}`);
  const outdir = join(root, 'modules', name, 'bundle');
  rmSync(outdir, { recursive: true, force: true });
  await build({
    entryPoints: [entry],
    outdir,
    bundle: true,
    // What is imported dynamically stays a file of its own and costs nothing until then.
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    conditions: ['source'],
    // The device SDK finds its own MQTT library from its folder, and warns of old calls when it is bundled.
    external: ['azure-iot-*'],
    // CommonJS packages inside of an ES module ask for both.
    banner: {
      js: "import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);",
    },
    define: { __dirname: 'import.meta.dirname' },
    sourcemap: 'linked',
    legalComments: 'linked',
    logLevel: 'warning',
  });
  return join(outdir, 'main.js');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const names = process.argv.slice(2);
  if (names.length === 0) {
    console.error('usage: node build/bundle.ts NAME…   (a folder of modules/)');
    process.exit(2);
  }
  for (const name of names) console.log(await bundle(name));
}
