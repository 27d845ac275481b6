import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EdgeError } from '../errors.ts';

/** Longest path of a Unix socket on macOS, without the final zero byte. */
const maxPathBytes = 103;

/**
 * A private folder for the sockets of one state folder. The path is short, since systems allow about a hundred bytes, and the same at
 * each start, so that what a module was told by hand stays true.
 */
export function openSocketFolder(stateDir: string, temporary = tmpdir()): string {
  const name = `edge-${shortHash(stateDir)}`;
  const longest = Buffer.byteLength(join(temporary, name, `${shortHash('')}.sock`));
  const folder = join(longest > maxPathBytes ? '/tmp' : temporary, name);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const found = lstatSync(folder);
  const foreign = process.getuid !== undefined && found.uid !== process.getuid();
  if (!found.isDirectory() || foreign || (found.mode & 0o077) !== 0) {
    throw new EdgeError(
      'STATE_INVALID',
      `${folder} is not a private folder of this user; remove it or set TMPDIR to a folder of your own.`,
    );
  }
  return folder;
}

export function socketPath(folder: string, moduleId: string): string {
  return join(folder, `${shortHash(moduleId)}.sock`);
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 10);
}
