// The file `net.json`: `name:port` of the container network → loopback port. Plain JavaScript, since the preload of the modules
// reads it too and has to start fast, under any Node. Several processes write it: each change is made under a lock file and
// takes effect by renaming, so that readers see a whole file at any time.
import { closeSync, openSync, readFileSync, renameSync, statSync, unlinkSync, writeFileSync } from 'node:fs';

const staleLockMs = 2000;
const longestWaitMs = 10_000;

/** Reads the table; a file that is not there is an empty one. */
export function readTable(file) {
  let text;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return {};
    throw error;
  }
  return JSON.parse(text);
}

/** Applies `change` to the table and answers the new one. Synchronous: `listen` has to register before anybody is told. */
export function updateTable(file, change) {
  lock(`${file}.lock`);
  try {
    const table = readTable(file);
    change(table);
    const next = `${file}.${process.pid}`;
    writeFileSync(next, `${JSON.stringify(table, null, 2)}\n`, { mode: 0o600 });
    renameSync(next, file);
    return table;
  } finally {
    unlinkSync(`${file}.lock`);
  }
}

/** A reader that parses the file only when it has changed. */
export function tableReader(file) {
  let table = {};
  let seen = '';
  return () => {
    let stat;
    try {
      stat = statSync(file);
    } catch {
      return {};
    }
    const mark = `${stat.ino}/${stat.mtimeMs}/${stat.size}`;
    if (mark !== seen) {
      table = readTable(file);
      seen = mark;
    }
    return table;
  };
}

function lock(file) {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  const deadline = Date.now() + longestWaitMs;
  for (;;) {
    try {
      closeSync(openSync(file, 'wx', 0o600));
      return;
    } catch (error) {
      if (error.code !== 'EEXIST' || Date.now() > deadline) throw error;
    }
    removeStale(file);
    Atomics.wait(pause, 0, 0, 2);
  }
}

/** A holder that was killed leaves its lock behind; nobody holds it for longer than a few milliseconds. */
function removeStale(file) {
  try {
    if (Date.now() - statSync(file).mtimeMs > staleLockMs) unlinkSync(file);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
}
