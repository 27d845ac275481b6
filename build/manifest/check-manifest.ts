import { repositoryOf } from '../../local-edge/src/agent/image-name.ts';
import { checkConfiguration } from '../../local-edge/src/hub/configuration.ts';
import type { Finding } from '../../local-edge/src/manifest/finding.ts';
import { checkEndpoints } from './check-endpoints.ts';
import { checkImage } from './check-images.ts';
import type { Images } from './check-images.ts';
import { checkOptions } from './check-options.ts';
import { checkHostPorts, checkMemory } from './check-resources.ts';
import { checkRoutes } from './check-routes.ts';
import { checkSecrets } from './check-secrets.ts';
import { checkSettings } from './check-settings.ts';
import { checkUsers } from './check-users.ts';
import type { Content } from './content.ts';
import { deployedModules, error, twinPlace } from './content.ts';
import type { OwnModule } from './own-modules.ts';

export interface CheckInput {
  readonly content: Content;
  readonly images: Images;
  readonly own: ReadonlyMap<string, OwnModule>;
  /** Modules of the template that are not to be deployed. */
  readonly left?: readonly string[];
}

/** What is wrong with an expanded manifest, beyond what edgeAgent's own rules say of it. */
export function checkManifest({ content, images, own, left = [] }: CheckInput): Finding[] {
  const modules = deployedModules(content);
  const ours = new Map<string, OwnModule>();
  for (const module of modules) {
    // A module may have another name than its image: a second instance.
    const built = images.modules.find((one) => one.repository === repositoryOf(module.image));
    const known = built === undefined ? undefined : own.get(built.name);
    if (known !== undefined) ours.set(module.name, known);
  }
  return [
    ...modules.flatMap((module) => {
      const known = ours.get(module.name);
      return [
        ...checkImage(module, images),
        ...checkOptions(module),
        ...checkMemory(module),
        ...(known === undefined ? [] : checkSettings(content, module, known)),
      ];
    }),
    ...checkHostPorts(modules),
    ...checkRoutes(content, modules, ours),
    ...checkEndpoints(content, modules, ours, left),
    ...checkUsers(content, modules, left),
    ...checkTwins(content),
    ...checkSecrets(content, modules, ours),
  ];
}

/** What IoT Hub would refuse: sizes, depth and names of twins, the grammar of routes. */
function checkTwins(content: Content): Finding[] {
  return checkConfiguration({ modulesContent: content }, () => ({})).findings.map((sentence) => {
    const place = /^(?:modulesContent\.)?(\$?[\w-]+)(?: route "([^"]*)"[^:]*?)?(?:: | (?=is ))(.*)$/s.exec(
      sentence,
    );
    if (place === null) return error('$.modulesContent', sentence);
    const [, name = '', route, problem = ''] = place;
    const path = route === undefined ? twinPlace(name) : `${twinPlace(name)}.routes.${route}`;
    // edgeHub begins with the property that it means.
    const named = name === '$edgeHub' ? /^"([\w.]+)" (.*)$/s.exec(problem) : null;
    return named === null
      ? error(path, problem.replace(/^is /, 'it is '))
      : error(`${path}.${named[1] ?? ''}`, `it ${named[2] ?? ''}`);
  });
}
