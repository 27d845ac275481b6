import { posix } from 'node:path';
import type { EnvironmentValues, ModuleSource } from './template-sources.ts';
import type { Finding } from './finding.ts';
import { readJson } from './json-text.ts';
import { fillVariables } from './variables.ts';
import { isRecord } from './record.ts';
import { parseDotenv } from './dotenv.ts';

/** What a module.json says about the images of a module. */
export interface ModuleImages {
  readonly name: string;
  readonly folder: string;
  readonly repository: string;
  readonly version: string;
  /** Platform (`amd64`, `arm64v8.debug`) → Dockerfile. */
  readonly platforms: Readonly<Record<string, string>>;
}

/** Reads one module.json; variables in it are filled in, also from the module's own `.env`. */
export function readModuleImages(source: ModuleSource, env: EnvironmentValues): ModuleImages | Finding {
  const own = source.dotenvText === undefined ? {} : parseDotenv(source.dotenvText, env);
  const filled = fillVariables(source.moduleJsonText, { ...own, ...env });
  const wrong = (problem: string, path = source.path): Finding => ({ severity: 'error', path, problem });
  const reading = readJson(filled.text);
  if (!reading.ok) {
    const { line, column, problem } = reading.mistake;
    return wrong(`not JSON: ${problem}.`, `${source.path}:${line}:${column}`);
  }
  const image = isRecord(reading.value) ? reading.value['image'] : undefined;
  const tag = isRecord(image) ? image['tag'] : undefined;
  if (!isRecord(image) || !isRecord(tag)) return wrong('it has no image with a tag.');
  const { repository } = image;
  const { version, platforms } = tag;
  if (typeof repository !== 'string' || repository === '') return wrong('image.repository is not a name.');
  const missing = filled.unknown.find((reference) => repository.includes(reference));
  if (missing !== undefined)
    return wrong(`image.repository uses ${missing}, which is not set. Set it in .env.`);
  if (typeof version !== 'string' || version === '') return wrong('image.tag.version is not a version.');
  if (!isRecord(platforms) || Object.keys(platforms).length === 0)
    return wrong('image.tag.platforms names no platform.');
  const dockerfiles = Object.entries(platforms).flatMap(([platform, file]) =>
    typeof file === 'string' ? [[platform, file] as const] : [],
  );
  return {
    name: source.name,
    folder: posix.normalize(source.folder),
    // iotedgedev lower-cases it, since Docker takes no capitals.
    repository: repository.toLowerCase(),
    version,
    platforms: Object.fromEntries(dockerfiles),
  };
}

/** The image of a module on a platform, as both tools name it. CONTAINER_TAG is iotedgedev's. */
export function imageName(module: ModuleImages, platform: string, containerTag = ''): string {
  return `${module.repository}:${module.version}${containerTag === '' ? '' : `-${containerTag}`}-${platform}`;
}

export interface Placeholder {
  readonly module: string | null;
  readonly folder: string | null;
  /** What follows the name: a platform, `debug`, or null for the default platform. */
  readonly platform: string | null;
}

/** Reads `${MODULES.name[.platform]}` and `${MODULEDIR<folder>[.platform]}`; null for any other text. */
export function readPlaceholder(text: string): Placeholder | null {
  const byName = /^\$\{MODULES\.([^.}]+)(?:\.([^}]+))?\}$/.exec(text);
  if (byName !== null) return { module: byName[1] ?? '', folder: null, platform: byName[2] ?? null };
  const byFolder = /^\$\{MODULEDIR<([^>]+)>(?:\.([^}]+))?\}$/.exec(text);
  if (byFolder !== null)
    return { module: null, folder: posix.normalize(byFolder[1] ?? ''), platform: byFolder[2] ?? null };
  return null;
}

/** The image that a placeholder stands for, or what is wrong with it. */
export function resolvePlaceholder(
  placeholder: Placeholder,
  modules: readonly ModuleImages[],
  platform: string,
  containerTag: string | undefined,
): { readonly image: string } | { readonly problem: string } {
  const wanted = placeholder.module ?? placeholder.folder ?? '';
  const found = modules.find((one) =>
    placeholder.module === null ? samePath(one.folder, wanted) : one.name === wanted,
  );
  if (found === undefined) {
    const known = modules.map((one) => one.name).join(', ');
    return {
      problem: `there is no module "${wanted}" with a module.json${known === '' ? '' : `; there are ${known}`}.`,
    };
  }
  const asked = placeholder.platform;
  const key = asked === null ? platform : asked === 'debug' ? `${platform}.debug` : asked;
  if (!Object.hasOwn(found.platforms, key)) {
    const known = Object.keys(found.platforms).join(', ');
    return { problem: `module ${found.name} has no platform "${key}" in its module.json; it has ${known}.` };
  }
  return { image: imageName(found, key, containerTag) };
}

function samePath(a: string, b: string): boolean {
  return posix.join('.', a).replace(/\/$/, '') === posix.join('.', b).replace(/\/$/, '');
}
