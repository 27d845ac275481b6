import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { EdgeError } from '../errors.ts';

/** A module that is run from this checkout: its image's repository is that of `modules/<folder>/module.json`. */
export interface CheckoutModule {
  readonly name: string;
  /** Absolute folder of the module. */
  readonly folder: string;
  readonly repository: string;
  /** Platform → path of its Dockerfile. */
  readonly dockerfiles: Readonly<Record<string, string>>;
}

/** The Dockerfile of an image's tag, `1.0.0-amd64.debug`. */
export function dockerfileOf(module: CheckoutModule, tag: string): string | undefined {
  return Object.entries(module.dockerfiles).find(([platform]) => tag.endsWith(`-${platform}`))?.[1];
}

/** The one place that knows how a module is started from source. */
export function sourceArguments(module: CheckoutModule, preload: string, flags: readonly string[]): string[] {
  return ['--conditions=source', ...flags, '--import', preload, join(module.folder, 'src', 'main.ts')];
}

/**
 * Node's arguments for a module: those of its image, or what Cmd and Entrypoint make of them. Both name the built file, as the
 * image does; the source stands in for it.
 */
export function checkoutCommand(
  module: CheckoutModule,
  words: readonly string[] | null,
  preload: string,
  flags: readonly string[],
): string[] {
  const main = join(module.folder, 'src', 'main.ts');
  if (!existsSync(main)) {
    throw new EdgeError(
      'NOT_FOUND',
      `${main} does not exist, so module ${module.name} cannot be run from this checkout.`,
    );
  }
  if (words === null) return sourceArguments(module, preload, flags);
  const script = words.findIndex((word) => word.endsWith(`modules/${module.name}/bundle/main.js`));
  const given = words.slice(1, script);
  if (words[0] !== 'node' || script < 1 || given.some((word) => !word.startsWith('-'))) {
    throw new EdgeError(
      'NOT_EMULATED',
      `createOptions.Cmd of a module that runs from this checkout must be node [options] modules/${module.name}/bundle/main.js [arguments].`,
    );
  }
  const own = given.filter((flag) => !flag.startsWith('--inspect') && flag !== '--enable-source-maps');
  return [...sourceArguments(module, preload, [...own, ...flags]), ...words.slice(script + 1)];
}
