import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Mount } from './container-options.ts';

/** A folder of a container and the folder of this machine that stands for it. */
export interface MappedFolder {
  readonly target: string;
  readonly folder: string;
  /** A folder that only holds mounted ones: it is meant where a shell fills in which, as in `/secrets/$name`. */
  readonly isParent?: true;
}

export interface FolderPlaces {
  /** Named volumes, which stay. */
  readonly volumes: string;
  /** Named volumes in memory, which go with the machine: the local edge empties the folder when it starts. */
  readonly memoryVolumes: string;
  /** A folder of the module's own. */
  readonly own: string;
}

/** Makes the folders of a module's mounts: named volumes are shared by name, the others belong to the module. */
export function prepareFolders(mounts: readonly Mount[], places: FolderPlaces): MappedFolder[] {
  const folders = mounts.map(({ kind, source, target }) => {
    const folder = placeOf(kind, source, target, places);
    if (kind === 'tmpfs') rmSync(folder, { recursive: true, force: true });
    // A bind may name a file.
    if (!existsSync(folder)) mkdirSync(folder, { recursive: true, mode: 0o700 });
    return { target: target.replace(/(.)\/+$/, '$1'), folder };
  });
  return [...folders, ...prepareParents(folders, join(places.own, 'parents'))];
}

function placeOf(kind: Mount['kind'], source: string, target: string, places: FolderPlaces): string {
  if (kind === 'bind') return source;
  if (kind === 'volume') return join(places.volumes, source);
  if (kind === 'memory') return join(places.memoryVolumes, source);
  return join(places.own, kind, target.replaceAll('/', '_'));
}

function prepareParents(folders: readonly MappedFolder[], place: string): MappedFolder[] {
  rmSync(place, { recursive: true, force: true });
  const parents = new Map<string, MappedFolder>();
  for (const { target, folder } of folders) {
    const parent = dirname(target);
    if (parent === '/' || folders.some((one) => one.target === parent)) continue;
    const own = join(place, parent.replaceAll('/', '_'));
    mkdirSync(own, { recursive: true, mode: 0o700 });
    symlinkSync(folder, join(own, basename(target)));
    parents.set(parent, { target: parent, folder: own, isParent: true });
  }
  return [...parents.values()];
}

/**
 * Replaces paths of the container by those of this machine, wherever a mounted folder's path stands by itself or starts a
 * longer path: `/data/a.rdb`, `--dir=/data`, `file:///data/x`.
 */
export function mapPaths(text: string, folders: readonly MappedFolder[]): string {
  if (folders.length === 0) return text;
  // Longer targets first: /data/keys before /data. What has been replaced is not looked at again.
  const ordered = [...folders].sort((a, b) => b.target.length - a.target.length);
  const end = `(?=$|[/,;:\\s'")])`;
  const targets = ordered.map(({ target, isParent }) => escape(target) + (isParent ? '(?=/[$*])' : end));
  const pattern = new RegExp(`(^|[=:,;\\s'"(]|://)(${targets.join('|')})`, 'g');
  return text.replace(pattern, (_all, before: string, target: string) => {
    return before + (ordered.find((one) => one.target === target)?.folder ?? target);
  });
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
