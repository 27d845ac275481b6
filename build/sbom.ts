/**
 * `npm run sbom [MODULE…]`: writes config/sbom/MODULE.cdx.json, what a module's images hold on top of their base image, in CycloneDX's
 * format. `npm sbom` describes the packages, the bundle says which of them are in it.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { bundledFiles } from './bundle.ts';
import type { ImageModule } from './image-modules.ts';
import { readImageModules } from './image-modules.ts';
import { bundledPackages } from './licences.ts';

interface Component {
  readonly 'bom-ref': string;
  readonly name: string;
  readonly version: string;
}

/** The parts of CycloneDX that are looked into; the rest is handed on. */
export interface Bom {
  readonly bomFormat: string;
  readonly specVersion: string;
  readonly serialNumber: string;
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

/** What `npm sbom` says of the whole repository, from its lock file alone. */
export async function bomOfRepository(root: string): Promise<Bom> {
  const words = ['sbom', '--package-lock-only', '--sbom-format', 'cyclonedx', '--loglevel', 'error'];
  const { stdout } = await promisify(execFile)('npm', words, { cwd: root, maxBuffer: 64 << 20 });
  return JSON.parse(stdout) as Bom;
}

/** The part of the repository's bill of materials that is in a module's images. */
export async function bomOf(root: string, module: ImageModule, whole: Bom): Promise<Bom> {
  const packages = bundledPackages(root, await bundledFiles(module.name));
  const licenceOf = ({ name }: Component): string | undefined =>
    packages.find((one) => one.name === name)?.licence;
  const isBundled = new Set(packages.map(({ name, version }) => `${name}@${version}`));
  const components = whole.components
    .filter(({ name, version }) => isBundled.has(`${name}@${version}`))
    .map((component) => ({ licenses: [{ license: { name: licenceOf(component) } }], ...component }));
  const kept = new Set(components.map((component) => component['bom-ref']));
  const ref = `${module.title}@${module.version}`;
  return {
    ...whole,
    metadata: {
      ...whole.metadata,
      component: Object.assign(
        { type: 'container', 'bom-ref': ref },
        { name: module.title, version: module.version, description: module.description },
        { licenses: [{ license: { id: 'MIT' } }] },
      ),
    },
    components,
    dependencies: [
      { ref, dependsOn: [...kept] },
      ...whole.dependencies
        .filter((one) => kept.has(one.ref))
        .map((one) => ({ ...one, dependsOn: one.dependsOn.filter((needed) => kept.has(needed)) })),
    ],
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  const wanted = process.argv.slice(2);
  const modules = readImageModules(root);
  for (const name of wanted)
    if (!modules.some((module) => module.name === name)) {
      console.error(`there is no module ${name}; there are ${modules.map((one) => one.name).join(', ')}`);
      process.exit(2);
    }
  const whole = await bomOfRepository(root);
  mkdirSync(join(root, 'config/sbom'), { recursive: true });
  for (const module of modules.filter(({ name }) => wanted.length === 0 || wanted.includes(name))) {
    const path = `config/sbom/${module.name}.cdx.json`;
    const bom = await bomOf(root, module, whole);
    writeFileSync(join(root, path), `${JSON.stringify(bom, null, 2)}\n`);
    console.log(`${path}: ${bom.components.length} packages`);
  }
}
