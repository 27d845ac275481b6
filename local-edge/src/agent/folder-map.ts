import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Mount } from './container-options.ts';

/** A folder of a container and the folder of this machine that stands for it. */
export interface MappedFolder {
  readonly target: string;
  readonly folder: string;
}

/** Makes the folders of a module's mounts: named volumes are shared by name, the others belong to the module. */
export function prepareFolders(mounts: readonly Mount[], volumes: string, own: string): MappedFolder[] {
  return mounts.map(({ kind, source, target }) => {
    const folder =
      kind === 'bind'
        ? source
        : kind === 'volume'
          ? join(volumes, source)
          : join(own, kind, target.replaceAll('/', '_'));
    if (kind === 'tmpfs') rmSync(folder, { recursive: true, force: true });
    // A bind may name a file.
    if (!existsSync(folder)) mkdirSync(folder, { recursive: true, mode: 0o700 });
    return { target: target.replace(/(.)\/+$/, '$1'), folder };
  });
}

/**
 * Replaces paths of the container by those of this machine, wherever a mounted folder's path stands by itself or starts a
 * longer path: `/data/a.rdb`, `--dir=/data`, `file:///data/x`.
 */
export function mapPaths(text: string, folders: readonly MappedFolder[]): string {
  let mapped = text;
  // Longer targets first: /data/keys before /data. What has been replaced is not looked at again.
  const ordered = [...folders].sort((a, b) => b.target.length - a.target.length);
  if (ordered.length === 0) return mapped;
  const pattern = new RegExp(
    `(^|[=:,;\\s'"(]|://)(${ordered.map(({ target }) => escape(target)).join('|')})(?=$|[/,;:\\s'")])`,
    'g',
  );
  mapped = mapped.replace(pattern, (_all, before: string, target: string) => {
    return before + (ordered.find((one) => one.target === target)?.folder ?? target);
  });
  return mapped;
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
