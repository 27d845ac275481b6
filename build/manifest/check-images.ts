import type { Finding } from '../../local-edge/src/manifest/finding.ts';
import type { ModuleImages } from '../../local-edge/src/manifest/module-images.ts';
import { repositoryOf, tagOf } from '../../local-edge/src/agent/image-name.ts';
import type { DeployedModule } from './content.ts';
import { error } from './content.ts';

// The grammar of distribution/reference: [host[:port]/]path[:tag][@digest], lower-case but for the host and the tag.
const reference =
  /^(?:(?:[a-zA-Z0-9-]+\.)*[a-zA-Z0-9-]+(?::\d+)?\/)?[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*(?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/;
const platformOf = /-(amd64|arm64v8|arm32v7)(?:\.debug)?$/;

export interface Images {
  readonly modules: readonly ModuleImages[];
  readonly platform: string;
  /** Whether a Dockerfile of a module is there, with the module's sources. */
  readonly builds: (module: ModuleImages, dockerfile: string) => boolean;
}

/** The image of a module: its name, its platform, and whether it can be built from here when it is one of ours. */
export function checkImage({ image, place }: DeployedModule, images: Images): Finding[] {
  const path = `${place}.settings.image`;
  if (image === '' || image.includes('${')) return [];
  if (!reference.test(image))
    return [
      error(path, 'it is no reference of an image: [registry/]name[:tag][@sha256:digest], in small letters.'),
    ];
  const platform = platformOf.exec(tagOf(image))?.[1];
  if (platform !== undefined && platform !== images.platform)
    return [error(path, `it is an image for ${platform}, and the manifest is for ${images.platform}.`)];
  const module = images.modules.find((one) => one.repository === repositoryOf(image));
  // A digest alone names an image that was built, whichever it is.
  if (module === undefined || (tagOf(image) === '' && image.includes('@'))) return [];
  const built = Object.entries(module.platforms).find(([name]) => tagOf(image).endsWith(`-${name}`));
  if (built === undefined)
    return [error(path, `${module.folder}/module.json names no platform whose image has this tag.`)];
  if (images.builds(module, built[1])) return [];
  return [error(path, `it does not build from here: ${module.folder} has no ${built[1]} or no src/main.ts.`)];
}
