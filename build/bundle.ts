/**
 * `node build/bundle.ts [--debug] NAME…`: makes modules/NAME/bundle from its sources: what an image runs. One file and what is loaded
 * later on demand, since resolving and reading some hundred files is most of the time that a module needs to start.
 */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build as esbuild } from 'esbuild';
import type { BuildOptions } from 'esbuild';
import { plugins } from './bundle-plugins.ts';
import { licences } from './licences.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

export interface BundleOptions {
  /** For a debugger: nothing shortened, and the sources inside of the source maps. */
  readonly isDebug?: boolean;
  /** Instead of the folder in the module that its images take it from. */
  readonly outdir?: string;
}

/** The bundle's entry: what a module's images start. Throws when there is no such module. */
export async function bundle(
  name: string,
  { isDebug = false, outdir = join(root, 'modules', name, 'bundle') }: BundleOptions = {},
): Promise<string> {
  rmSync(outdir, { recursive: true, force: true });
  const { metafile } = await esbuild({ ...optionsOf(name, isDebug), outdir });
  writeFileSync(join(outdir, 'LICENSES.txt'), licences(root, Object.keys(metafile.inputs)));
  return join(outdir, 'main.js');
}

/** The files that a module's bundle is made of, relative to the repository's root. */
export async function bundledFiles(name: string): Promise<string[]> {
  const { metafile } = await esbuild({ ...optionsOf(name, false), outdir: root, write: false });
  return Object.keys(metafile.inputs);
}

function optionsOf(name: string, isDebug: boolean) {
  const entry = join(root, 'modules', name, 'src', 'main.ts');
  if (!existsSync(entry)) throw new Error(`${entry} does not exist: there is no module ${name}`);
  return {
    absWorkingDir: root,
    entryPoints: [entry],
    bundle: true,
    // What is imported dynamically stays a file of its own and costs nothing until then.
    splitting: true,
    format: 'esm',
    platform: 'node',
    // 32-bit ARM has no images of a later release.
    target: 'node22',
    conditions: ['source'],
    plugins,
    // CommonJS packages inside of an ES module ask for both.
    banner: {
      js: "const require=process.getBuiltinModule('node:module').createRequire(import.meta.url);",
    },
    define: { __dirname: 'import.meta.dirname' },
    // Names stay, so that a stack trace can be read without the source map.
    minifyWhitespace: !isDebug,
    minifySyntax: !isDebug,
    sourcemap: 'linked',
    sourcesContent: isDebug,
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
  } as const satisfies BuildOptions;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const isDebug = process.argv.includes('--debug');
  const names = process.argv.slice(2).filter((word) => word !== '--debug');
  if (names.length === 0) {
    console.error('usage: node build/bundle.ts [--debug] NAME…   (a folder of modules/)');
    process.exit(2);
  }
  for (const name of names) console.log(await bundle(name, { isDebug }));
}
