import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a module's folder says of its images. */
export interface ImageModule {
  readonly name: string;
  /** Name of its images without the registry, as in `iotedge-redis-client`. */
  readonly title: string;
  readonly description: string;
  readonly version: string;
  /** Options of Node in its images: `image.nodeFlags` of package.json, else those that keep the heap small. */
  readonly nodeFlags: readonly string[];
  /** Flags of V8 that it gets once it is up: `image.v8FlagsWhenUp` of package.json, else those that keep the heap small. */
  readonly v8FlagsWhenUp: readonly string[];
  /** Whether the image has a folder /state for a volume: `image.stateFolder` of package.json. */
  readonly hasStateFolder: boolean;
}

/** Several modules share a gateway: memory before speed. */
const smallHeap = {
  nodeFlags: ['--max-semi-space-size=2'],
  v8FlagsWhenUp: ['--heap-growing-percent=20', '--no-maglev'],
};

/** Every folder of modules/ with a module.json. Throws with the file's name when one does not say what it must. */
export function readImageModules(root: string): ImageModule[] {
  return readdirSync(join(root, 'modules'))
    .filter((name) => existsSync(join(root, 'modules', name, 'module.json')))
    .sort()
    .map((name) => readImageModule(root, name));
}

function readImageModule(root: string, name: string): ImageModule {
  const file = (base: string): Record<string, unknown> => {
    const path = `modules/${name}/${base}`;
    return record(path, JSON.parse(readFileSync(join(root, path), 'utf8')));
  };
  const { image } = file('module.json');
  const repository = text(
    `modules/${name}/module.json: image.repository`,
    record('image', image)['repository'],
  );
  const manifest = file('package.json');
  const own = manifest['image'] === undefined ? {} : record('image', manifest['image']);
  const flags = (key: keyof typeof smallHeap): string[] => {
    const list = own[key] ?? smallHeap[key];
    if (!Array.isArray(list) || list.some((flag) => typeof flag !== 'string' || !/^--[^\s,]+$/.test(flag)))
      throw new Error(
        `modules/${name}/package.json: image.${key} is not a list of options that begin with --`,
      );
    return list.map(String);
  };
  return {
    name,
    title: repository.slice(repository.lastIndexOf('/') + 1),
    description: text(`modules/${name}/package.json: description`, manifest['description']),
    version: text(`modules/${name}/package.json: version`, manifest['version']),
    nodeFlags: flags('nodeFlags'),
    v8FlagsWhenUp: flags('v8FlagsWhenUp'),
    hasStateFolder: own['stateFolder'] === true,
  };
}

function record(what: string, value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw new Error(`${what} is not an object`);
  return value as Record<string, unknown>;
}

function text(what: string, value: unknown): string {
  if (typeof value !== 'string' || value === '') throw new Error(`${what} is not a text`);
  return value;
}
