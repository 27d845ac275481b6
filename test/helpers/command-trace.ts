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
  'module',
  'script',
  'object',
  'cluster',
  'acl',
]);
/** What tells a module's connection, where it has no name: the bare links of an export that scans, and of an import. */
const marks = new Set(['client|setname', 'function|dump', 'getset']);
/** Commands of administration, which MONITOR does not show. No client of a test calls these. */
const unseen = ['replconf', 'sync', 'module|list'];
const unseenPollMs = 200;
/** As much of a line as names address, command and first argument; values may be megabytes. */
const headBytes = 200;
const called = new Set<string>();
let isSaving = false;

/**
 * With REDIS_TRACE=FOLDER: watches a test's Redis by MONITOR, and by its counters, and notes which commands the module under test calls,
 * for the check of the ACL lists. Its connections are those that give themselves a name; the clients of tests do not.
 */
export function traceCommands(port: number): void {
  const folder = process.env['REDIS_TRACE'];
  if (folder === undefined) return;
  if (!isSaving) process.once('exit', () => save(folder));
  isSaving = true;
  watchCounters(port);
  const trace = new Trace();
  const socket = connect(port, '127.0.0.1', () => socket.write('MONITOR\r\n'));
  socket.on('error', () => undefined);
  socket.unref();
  let head = '';
  socket.on('data', (chunk: Buffer) => {
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      trace.take(head + headOf(chunk, from, end, head.length));
      head = '';
      from = end + 1;
    }
    head += headOf(chunk, from, chunk.length, head.length);
  });
}

function watchCounters(port: number): void {
  const socket = connect(port, '127.0.0.1');
  const timer = setInterval(() => socket.write('INFO commandstats\r\n'), unseenPollMs).unref();
  socket.on('error', () => undefined).on('close', () => clearInterval(timer));
  socket.unref();
  socket.setEncoding('latin1').on('data', (text: string) => {
    for (const name of unseen) if (text.includes(`cmdstat_${name}:`)) called.add(name);
  });
}

function headOf(chunk: Buffer, from: number, end: number, taken: number): string {
  return chunk.toString('latin1', from, Math.min(end, from + Math.max(0, headBytes - taken)));
}

/** What each connection of one server called; a client selects its database before it says its name. */
class Trace {
  readonly #named = new Set<string>();
  readonly #before = new Map<string, Set<string>>();
  #evaluates = '';

  take(line: string): void {
    const match = /^\+?[\d.]+ \[\d+ (\S+)\] "([^"]*)"(?: "([^"]*)")?/.exec(line);
    if (match === null) return;
    const from = match[1] === 'lua' ? this.#evaluates : (match[1] ?? '');
    const name = (match[2] ?? '').toLowerCase();
    if (match[1] !== 'lua') this.#evaluates = name.startsWith('eval') ? from : '';
    const command = containers.has(name) ? `${name}|${(match[3] ?? '').toLowerCase()}` : name;
    if (this.#named.has(from)) called.add(command);
    // Sentinels name their connections, too.
    else if (marks.has(command) && !/"setname" "sentinel-/i.test(line)) this.#name(from, command);
    else this.#before.set(from, (this.#before.get(from) ?? new Set()).add(command));
  }

  #name(from: string, command: string): void {
    this.#named.add(from);
    for (const one of [command, ...(this.#before.get(from) ?? [])]) called.add(one);
    this.#before.delete(from);
  }
}

function save(folder: string): void {
  mkdirSync(folder, { recursive: true });
  const file = basename(process.argv[1] ?? '');
  writeFileSync(join(folder, `${file}-${process.pid}.json`), JSON.stringify({ file, called: [...called] }));
}
