import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { EdgeError } from './errors.ts';

/** Reads a JSON state file; undefined when there is none. */
export function readStateFile(path: string): unknown {
  if (!existsSync(path)) return undefined;
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as unknown;
  } catch (cause) {
    throw new EdgeError(
      'STATE_INVALID',
      `The state file ${path} does not hold JSON. Delete it to start without this state.`,
      { cause },
    );
  }
}

/**
 * Replaces a file as a whole: readers see the old or the new content, never a part. It survives the death of the process, which
 * is what the local edge promises; it is not forced to disk, since a lost machine takes its throw-away state along.
 */
export function writeFileAtomically(path: string, content: string | Buffer): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.new`;
  writeFileSync(draft, content, { mode: 0o600 });
  renameSync(draft, path);
}

export function writeStateFile(path: string, content: unknown): void {
  writeFileAtomically(path, JSON.stringify(content));
}
