import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Check, Fields } from '@iotedge-redis/common';
import { allFields } from '@iotedge-redis/common';

/** What the modules of this repository say of themselves. */
export interface OwnModule {
  readonly name: string;
  readonly fields: Fields;
  readonly check: Check<Fields> | undefined;
  /** Names of the inputs that it listens to. */
  readonly inputs: readonly string[];
}

interface Definition {
  readonly name: string;
  readonly fields: Fields;
  readonly check?: Check<Fields>;
}

/** Reads every `modules/<name>/src/module.ts`, by the name of the folder. */
export async function readOwnModules(root: string): Promise<Map<string, OwnModule>> {
  const own = new Map<string, OwnModule>();
  for (const file of globSync('modules/*/src/module.ts', { cwd: root }).sort()) {
    const name = file.split(/[\\/]/)[1] ?? '';
    const exported = Object.values(
      (await import(pathToFileURL(join(root, file)).href)) as Record<string, unknown>,
    );
    const definition = exported.find(isDefinition);
    if (definition === undefined)
      throw new Error(`${file}: expected it to export the definition of its module`);
    own.set(name, {
      name,
      fields: allFields(definition),
      check: definition.check?.bind(definition),
      inputs: inputsOf(join(root, 'modules', name, 'src')),
    });
  }
  return own;
}

/** Whether a module's Dockerfile for a platform is there. */
export function buildsFromHere(root: string, folder: string, dockerfile: string): boolean {
  return existsSync(join(root, folder, dockerfile)) && existsSync(join(root, folder, 'src', 'main.ts'));
}

function isDefinition(value: unknown): value is Definition {
  return (
    typeof value === 'object' && value !== null && 'fields' in value && 'methods' in value && 'name' in value
  );
}

function inputsOf(folder: string): string[] {
  const texts = globSync('**/*.ts', { cwd: folder }).map((file) => readFileSync(join(folder, file), 'utf8'));
  return texts.flatMap((text) =>
    [...text.matchAll(/\bonInput\(\s*'([^']+)'/g)].map((match) => match[1] ?? ''),
  );
}
