import { join, relative } from 'node:path';
import type { ModuleImages } from '../local-edge/src/manifest/module-images.ts';
import { imageName } from '../local-edge/src/manifest/module-images.ts';

export interface ImageRequest {
  /** Platforms as in module.json, or `all`. */
  readonly platforms: readonly string[];
  /** Folders of modules/; empty means all. */
  readonly modules: readonly string[];
  /** To the registry; without, into the engine of this machine. */
  readonly push: boolean;
  /** Appended to the version, as the tools do it: CONTAINER_TAG. */
  readonly containerTag: string | undefined;
  readonly revision: string;
  readonly source: string;
  /** Words for `docker buildx build`, as in `--build-arg BASE_IMAGE=…`, `--no-cache`. */
  readonly extra: readonly string[];
}

export interface ImageCommand {
  readonly image: string;
  /** Without the program: `buildx build …`, to be run in the repository's root. */
  readonly args: readonly string[];
}

/** The builds of a request, in order; throws with a sentence for a module or platform that is not there. */
export function imageCommands(
  root: string,
  modules: readonly (ModuleImages & { readonly buildOptions: readonly string[] })[],
  request: ImageRequest,
): ImageCommand[] {
  const unknown = request.modules.find((name) => !modules.some((module) => module.name === name));
  if (unknown !== undefined) {
    throw new Error(
      `there is no module ${unknown}; there are ${modules.map((module) => module.name).join(', ')}`,
    );
  }
  const wanted = modules.filter(({ name }) => request.modules.length === 0 || request.modules.includes(name));
  return wanted.flatMap((module) =>
    platformsOf(module, request.platforms).map((platform) => {
      const image = imageName(module, platform, request.containerTag);
      const file = relative(root, join(root, module.folder, module.platforms[platform] ?? ''));
      // The Dockerfile says for which processor the image is: a --platform here would have the build itself emulated.
      const args = [
        ...['buildx', 'build', '--file', file, '--tag', image],
        ...['--build-arg', `REVISION=${request.revision}`, '--build-arg', `SOURCE=${request.source}`],
        // A plain image, not an index of image and attestation: it has one platform, that of its base image.
        '--provenance=false',
        ...module.buildOptions,
        ...request.extra,
        request.push ? '--push' : '--load',
        '.',
      ];
      return { image, args };
    }),
  );
}

function platformsOf(module: ModuleImages, asked: readonly string[]): readonly string[] {
  const known = Object.keys(module.platforms);
  if (asked.includes('all')) return known;
  const missing = asked.find((platform) => !known.includes(platform));
  if (missing !== undefined) {
    throw new Error(
      `${module.name} has no platform ${missing} in its module.json; it has ${known.join(', ')}`,
    );
  }
  return asked;
}

/** As a user would type it. */
export function printed({ args }: ImageCommand): string {
  const quoted = args.map((arg) => (/^[\w./:=@,-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", "'\\''")}'`));
  return `docker ${quoted.join(' ')}`;
}
