/**
 * `node build/bundle.ts [--debug] NAME…`: makes modules/NAME/bundle from its sources: what an image runs. One file and what is loaded
 * later on demand, since resolving and reading some hundred files is most of the time that a module needs to start.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build as esbuild } from 'esbuild';
import type { BuildOptions, Plugin } from 'esbuild';
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
    plugins: [leftOut, withoutNumberCache, withoutStandIns, nodeByRequire],
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

/**
 * Packages that are asked for only by what no module does. They are 2 of 3 MB, and with them come deprecation warnings: the device
 * SDK's file upload (an older Azure Storage client), and lists of blobs in Arrow's format. A managed identity exists only in Azure: who
 * runs a module there adds its package to the image.
 */
const leftOut: Plugin = {
  name: 'left-out',
  setup(build) {
    build.onResolve({ filter: /^@azure\/storage-blob$/ }, ({ path, importer }) =>
      /[\\/]azure-iot-device[\\/]/.test(importer) ? { path, external: true } : undefined,
    );
    build.onResolve({ filter: /^@azure\/identity$/ }, ({ path }) => ({ path, external: true }));
    build.onResolve({ filter: /^apache-arrow$/ }, ({ path }) => ({ path, external: true }));
  },
};

/**
 * mqtt-packet keeps a Buffer for each of 65,536 packet ids: 7 MB and some ms at the first packet, once for the device SDK and once for
 * a newer mqtt.js. This is its own switch for that, set where it is loaded.
 */
const withoutNumberCache: Plugin = {
  name: 'without-number-cache',
  setup(build) {
    build.onLoad({ filter: /[\\/]mqtt-packet[\\/]writeToStream\.js$/ }, ({ path }) => ({
      contents: `${readFileSync(path, 'utf8')}\nmodule.exports.cacheNumbers = false;\n`,
    }));
  },
};

/**
 * What mqtt.js brings for browsers, in place of what Node has: streams of Node's own code, and timers in a web worker, which are never
 * called here. A start evaluates some thirty files for them.
 */
const withoutStandIns: Plugin = {
  name: 'without-stand-ins',
  setup(build) {
    build.onLoad({ filter: /[\\/]readable-stream[\\/]lib[\\/]ours[\\/]index\.js$/ }, () => ({
      contents: "module.exports = require('node:stream');",
    }));
    build.onLoad({ filter: /[\\/]node_modules[\\/]worker-timers[\\/]/ }, () => ({
      contents: 'module.exports = { setInterval, clearInterval };',
    }));
  },
};

/**
 * Modules of Node by `require` instead of `import`: an import makes a list of all that the module exports, and thereby loads what these
 * would load on demand (WebCrypto, streams of fs, the comparisons of util).
 */
const nodeByRequire: Plugin = {
  name: 'node-by-require',
  setup(build) {
    build.onResolve({ filter: /^node:/ }, ({ path, kind }) =>
      kind === 'import-statement' ? { path, namespace: 'node-module' } : undefined,
    );
    build.onLoad({ filter: /./, namespace: 'node-module' }, ({ path }) => ({
      contents: `module.exports = require('${path}');`,
    }));
  },
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const isDebug = process.argv.includes('--debug');
  const names = process.argv.slice(2).filter((word) => word !== '--debug');
  if (names.length === 0) {
    console.error('usage: node build/bundle.ts [--debug] NAME…   (a folder of modules/)');
    process.exit(2);
  }
  for (const name of names) console.log(await bundle(name, { isDebug }));
}
