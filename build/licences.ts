import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A package whose code is part of a bundle. */
export interface BundledPackage {
  readonly name: string;
  readonly version: string;
  readonly licence: string;
  /** Relative to the repository's root, as in `node_modules/pino`. */
  readonly folder: string;
}

/** The packages that the files of a bundle come from, by name and version. `inputs` are paths relative to the root. */
export function bundledPackages(root: string, inputs: readonly string[]): BundledPackage[] {
  const folders = new Set(
    inputs.flatMap((input) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? []),
  );
  return [...folders]
    .map((folder) => {
      const { name, version, license, licenses } = JSON.parse(
        readFileSync(join(root, folder, 'package.json'), 'utf8'),
      ) as Record<string, unknown>;
      return {
        name: String(name),
        version: String(version),
        licence: licenceName(license ?? licenses),
        folder,
      };
    })
    .sort((a, b) => (a.name + a.version < b.name + b.version ? -1 : 1));
}

/** Old packages have `{ type }`, or a list of those, instead of an SPDX expression. */
function licenceName(value: unknown): string {
  if (Array.isArray(value)) return value.map(licenceName).join(' OR ');
  if (typeof value === 'string') return value;
  return typeof value === 'object' && value !== null && 'type' in value
    ? String(value.type)
    : 'no licence named';
}

/** What their licences ask of a copy: the notices of all packages in a bundle, in one text. */
export function licences(root: string, inputs: readonly string[]): string {
  return bundledPackages(root, inputs)
    .map(({ name, version, licence, folder }) => {
      const file = readdirSync(join(root, folder)).find((entry) => /^(licen[cs]e|copying)/i.test(entry));
      const text = file === undefined ? '' : `\n${readFileSync(join(root, folder, file), 'utf8').trim()}\n`;
      return `${name} ${version} (${licence})\n${text}`;
    })
    .join(`\n${'-'.repeat(80)}\n\n`);
}
