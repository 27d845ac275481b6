#!/usr/bin/env node
// Plain JavaScript, so that any Node can start it: the sources need the project's own Node (TypeScript without a build).
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major > 22 || (major === 22 && minor >= 18)) {
  await import('../src/main.ts');
} else {
  const require = createRequire(import.meta.url);
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
  let program;
  try {
    program = join(dirname(require.resolve(`${name}/package.json`)), 'bin', 'node');
  } catch {
    console.error(
      `edge: Node ${process.versions.node} is too old and the package ${name} is not installed. ` +
        'Install Node 22.18 or newer, or run `npm ci` with optional packages.',
    );
    process.exit(1);
  }
  const child = spawn(program, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  // This process waits for the other, which takes a Ctrl+C that reaches it twice for one.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.once('exit', (code) => process.exit(code ?? 1));
}
