/** What a bundle has otherwise than its packages wrote it: less to load, and less to do at the start. */
import { readFileSync } from 'node:fs';
import type { Plugin } from 'esbuild';

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
 * What packages bring along for browsers, in place of what Node has: streams of Node's own code and timers in a web worker for mqtt.js.
 * And colours for the lines of the package debug, which an image has not installed.
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
    build.onResolve({ filter: /^supports-color$/ }, ({ path }) => ({ path, namespace: 'nothing' }));
    build.onLoad({ filter: /./, namespace: 'nothing' }, () => ({ contents: 'module.exports = {};' }));
  },
};

/**
 * Modules of Node without `import`, which makes a list of all that a module exports, and thereby loads what these would load on demand
 * (WebCrypto, streams of fs).
 */
const nodeOnDemand: Plugin = {
  name: 'node-on-demand',
  setup(build) {
    build.onResolve({ filter: /^node:/ }, ({ path, kind }) =>
      kind === 'import-statement' ? { path, namespace: 'node' } : undefined,
    );
    build.onLoad({ filter: /./, namespace: 'node' }, ({ path }) => {
      const names = Object.keys(process.getBuiltinModule(path) ?? {}).filter((name) => name !== 'default');
      const exports = names.map((name) => `export const ${name} = /* @__PURE__ */ named('${name}');`);
      return {
        contents: [
          `const all = process.getBuiltinModule('${path}');`,
          'const named = (name) => all[name];',
          'export default all;',
          ...exports,
        ].join('\n'),
      };
    });
  },
};

/**
 * ioredis gives its class some 600 methods one by one, and V8 makes the whole list of them anew for each: 13 ms of every start. In an
 * object of their own, from which the class inherits, they take less than one.
 */
const methodsApart: Plugin = {
  name: 'methods-apart',
  setup(build) {
    build.onLoad({ filter: /[\\/]ioredis[\\/]built[\\/]utils[\\/]Commander\.js$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8');
      const [before, loop, after] = text.split(/^(commands\.forEach\([^]*?^\}\);$)/m);
      if (before === undefined || loop === undefined || after === undefined)
        throw new Error(`${path} does not have the loop that makes its methods: has ioredis changed?`);
      const apart = loop.replaceAll('Commander.prototype[', 'methods[');
      return {
        contents: `${before}const methods = {};\n${apart}\nObject.setPrototypeOf(Commander.prototype, methods);${after}`,
      };
    });
  },
};

export const plugins = [leftOut, withoutNumberCache, withoutStandIns, nodeOnDemand, methodsApart];
