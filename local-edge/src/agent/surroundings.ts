import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ContainerOptions } from './container-options.ts';
import type { DesiredModule } from './desired-modules.ts';
import type { MappedFolder } from './folder-map.ts';

/** The parts of a module's surroundings that every kind of program needs. */
export interface Surroundings {
  readonly module: DesiredModule;
  readonly options: ContainerOptions;
  /** A folder of the module's own, which goes with it. */
  readonly own: string;
  readonly folders: readonly MappedFolder[];
  readonly env: Record<string, string>;
  readonly map: (text: string) => string;
}

/** The folder in which the program starts; one of its own unless WorkingDir names a mounted one. */
export function workingFolder({ options, own, map }: Surroundings): string {
  const asked = options.workingDir === null ? null : map(options.workingDir);
  const folder = asked !== null && asked !== options.workingDir ? asked : join(own, 'work');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
}
