import type { JsonObject, JsonValue } from '../edge/edge.ts';
import type { Mistake } from '../errors.ts';
import { ConfigError } from '../errors.ts';
import type { Field, Fields, SettingsOf } from './settings.ts';
import { FieldProblem } from './settings.ts';
import { unknownName } from '../suggest.ts';

export type Origin = 'default' | 'file' | 'environment' | 'command line' | 'twin';

/** Where settings come from, weakest first: default < config file < environment < command line < desired properties. */
export interface Sources {
  /** By environment name, twin name or the name in code. */
  readonly file?: JsonObject | undefined;
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
  /** By the name in code. */
  readonly commandLine?: Readonly<Record<string, string>> | undefined;
  readonly desired?: JsonObject | undefined;
  /** Reads the file named by `<ENV>_FILE`; throws when it cannot. */
  readonly readSecret?: ((path: string) => string) | undefined;
}

export interface Parsed<F extends Fields> {
  readonly settings: SettingsOf<F>;
  readonly origins: Readonly<Record<keyof F & string, Origin>>;
}

/** Mistakes that only several settings together make; named by the setting's name in code. */
export type Check<F extends Fields> = (
  settings: SettingsOf<F>,
) => { name: keyof F & string; problem: string }[];

interface Found {
  readonly origin: Exclude<Origin, 'default'>;
  readonly name: string;
  readonly read: () => unknown;
}

/** A secret's file usually ends with a line break that is not part of the secret. */
function fromSecretFile(path: string, field: Field<unknown>, readSecret: (path: string) => string): unknown {
  let content: string;
  try {
    content = readSecret(path);
  } catch {
    throw new FieldProblem('expected the path of a file that can be read');
  }
  return field.fromText(content.replace(/\r?\n$/, ''));
}

function inEnvironment(field: Field<unknown>, sources: Sources, mistakes: Mistake[]): Found | undefined {
  const { environment = {}, readSecret } = sources;
  const isSet = (name: string): boolean => environment[name] !== undefined && environment[name] !== '';
  const name = field.env.find(isSet);
  const fileName = field.secret && readSecret ? field.env.map((env) => `${env}_FILE`).find(isSet) : undefined;
  if (name !== undefined && fileName !== undefined) {
    mistakes.push({ origin: 'environment', name, problem: `set either ${name} or ${fileName}, not both` });
    return undefined;
  }
  if (name !== undefined)
    return { origin: 'environment', name, read: () => field.fromText(environment[name] ?? '') };
  if (fileName === undefined || !readSecret) return undefined;
  const path = environment[fileName] ?? '';
  return { origin: 'environment', name: fileName, read: () => fromSecretFile(path, field, readSecret) };
}

function inFile(key: string, field: Field<unknown>, file: JsonObject): Found | undefined {
  const names = [...field.env, ...(field.twin === null ? [] : [field.twin]), key];
  const name = names.find(
    (candidate) => file[candidate] !== undefined && file[candidate] !== null && file[candidate] !== '',
  );
  if (name === undefined) return undefined;
  const value = file[name] ?? null;
  return {
    origin: 'file',
    name,
    read: () => (typeof value === 'string' ? field.fromText(value) : field.fromJson(value)),
  };
}

/** Strongest source that has the setting. A desired null means "as the host says". */
function find(key: string, field: Field<unknown>, sources: Sources, mistakes: Mistake[]): Found | undefined {
  const desired: JsonValue | undefined = field.twin === null ? undefined : sources.desired?.[field.twin];
  if (field.twin !== null && desired !== undefined && desired !== null) {
    return { origin: 'twin', name: field.twin, read: () => field.fromJson(desired) };
  }
  const option = sources.commandLine?.[key];
  if (option !== undefined)
    return { origin: 'command line', name: `--${kebab(key)}`, read: () => field.fromText(option) };
  return inEnvironment(field, sources, mistakes) ?? inFile(key, field, sources.file ?? {});
}

export function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function unknownNames(fields: Fields, sources: Sources): Mistake[] {
  const all = Object.entries(fields);
  const mistakes: Mistake[] = [];
  const known = new Set(all.flatMap(([key, field]) => [key, field.twin ?? key, ...field.env]));
  for (const name of Object.keys(sources.file ?? {})) {
    if (known.has(name)) continue;
    const names = all.map(([key, field]) => field.env[0] ?? key);
    mistakes.push({ origin: 'file', name, problem: unknownName(name, names) });
  }
  const twinNames = all.map(([, field]) => field.twin).filter((name) => name !== null);
  for (const [name, value] of Object.entries(sources.desired ?? {})) {
    if (value === null || name.startsWith('$') || twinNames.includes(name)) continue;
    const hostOnly = all.find(([key, field]) => field.twin === null && key === name)?.[1].env[0];
    const problem =
      hostOnly === undefined
        ? unknownName(name, twinNames)
        : `not settable by the twin; set ${hostOnly} in the environment`;
    mistakes.push({ origin: 'twin', name, problem });
  }
  return mistakes;
}

/** The whole configuration, or a ConfigError with every mistake at once: by name and expected form, never with a value. */
export function parseSettings<F extends Fields>(fields: F, sources: Sources, check?: Check<F>): Parsed<F> {
  const mistakes: Mistake[] = unknownNames(fields, sources);
  const settings: Record<string, unknown> = {};
  const origins: Record<string, Origin> = {};
  const places: Record<string, { origin: Mistake['origin']; name: string }> = {};

  for (const [key, field] of Object.entries<Field<unknown>>(fields)) {
    const found = find(key, field, sources, mistakes);
    settings[key] = field.default;
    origins[key] = found?.origin ?? 'default';
    places[key] = found ?? { origin: 'environment', name: field.env[0] ?? key };
    if (!found) continue;
    try {
      settings[key] = found.read();
    } catch (error) {
      // The text of a foreign error may quote what was given.
      const problem = error instanceof FieldProblem ? error.message : `expected ${field.type}`;
      mistakes.push({ origin: found.origin, name: found.name, problem });
    }
  }

  const parsed = { settings, origins } as Parsed<F>;
  if (mistakes.length === 0 && check) {
    for (const { name, problem } of check(parsed.settings)) {
      const place = places[name] ?? { origin: 'environment', name };
      mistakes.push({ origin: place.origin, name: place.name, problem });
    }
  }
  if (mistakes.length > 0) throw new ConfigError(mistakes);
  return parsed;
}
