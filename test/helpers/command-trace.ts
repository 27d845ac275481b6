import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { basename, join } from 'node:path';

/** Commands whose first argument is part of their name for an ACL. */
const containers = new Set([
  'client',
  'config',
  'xgroup',
  'xinfo',
  'memory',
  'function',
  'script',
  'object',
  'cluster',
  'acl',
]);
const called = new Set<string>();

/**
 * With REDIS_TRACE=FOLDER: watches a test's Redis by MONITOR and notes which commands the module under test calls, for the check of
 * the ACL lists. Its connections are those that give themselves a name; the clients of tests do not.
 */
export function traceCommands(port: number): void {
  const folder = process.env['REDIS_TRACE'];
  if (folder === undefined) return;
  if (called.size === 0) process.once('exit', () => save(folder));
  const named = new Set<string>();
  let evaluates = false;
  const socket = connect(port, '127.0.0.1', () => socket.write('MONITOR\r\n'));
  socket.on('error', () => undefined);
  socket.unref();
  let rest = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\r\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const match = /^\+?[\d.]+ \[\d+ (\S+)\] "([^"]*)"(?: "([^"]*)")?/.exec(line);
      if (match === null) continue;
      const from = match[1] ?? '';
      const name = (match[2] ?? '').toLowerCase();
      const command = containers.has(name) ? `${name}|${(match[3] ?? '').toLowerCase()}` : name;
      // Sentinels name their connections, too.
      if (command === 'client|setname' && !/"setname" "sentinel-/i.test(line)) named.add(from);
      const isOurs = from === 'lua' ? evaluates : named.has(from);
      if (from !== 'lua') evaluates = isOurs && name.startsWith('eval');
      if (isOurs) called.add(command);
    }
  });
}

function save(folder: string): void {
  mkdirSync(folder, { recursive: true });
  const file = basename(process.argv[1] ?? '');
  writeFileSync(join(folder, `${file}-${process.pid}.json`), JSON.stringify({ file, called: [...called] }));
}
