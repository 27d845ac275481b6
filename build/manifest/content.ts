import type { JsonObject } from '../../local-edge/src/hub/hub-api.ts';
import { joinCreateOptions } from '../../local-edge/src/manifest/create-options.ts';
import type { Finding } from '../../local-edge/src/manifest/finding.ts';
import { modulesOf } from '../../local-edge/src/manifest/manifest-modules.ts';
import { isRecord } from '../../local-edge/src/manifest/record.ts';

/** `modulesContent` of a manifest: module id → `properties.desired` and what is in it. */
export type Content = Record<string, JsonObject>;

export const DESIRED = 'properties.desired';

/** A module of `$edgeAgent` with what its checks need. */
export interface DeployedModule {
  readonly name: string;
  /** JSON path of the module. */
  readonly place: string;
  readonly image: string;
  /** `env` of the manifest, as texts. */
  readonly env: Readonly<Record<string, string>>;
  /** createOptions, joined; null when they are no JSON object, which others report. */
  readonly options: Record<string, unknown> | null;
  readonly hostConfig: Record<string, unknown>;
}

export function deployedModules(content: Content): DeployedModule[] {
  return modulesOf(content).map(({ name, module, place }) => {
    const settings = isRecord(module['settings']) ? module['settings'] : {};
    const options = optionsOf(settings);
    const host = options?.['HostConfig'];
    return {
      name,
      place,
      image: typeof settings['image'] === 'string' ? settings['image'] : '',
      env: envOf(module['env']),
      options,
      hostConfig: isRecord(host) ? host : {},
    };
  });
}

/** Tells what is wrong with a part of createOptions, by its path there. */
export type Wrong = (path: string, problem: string) => void;

/** JSON path of a part of createOptions, which the manifest holds as text. */
export function optionPlace(module: DeployedModule, path: string): string {
  return `${module.place}.settings.createOptions.${path}`;
}

/** NAME=VALUE lines of createOptions.Env. */
export function optionEnv(module: DeployedModule): Record<string, string> {
  const lines = module.options?.['Env'];
  const pairs = (Array.isArray(lines) ? lines : []).flatMap((line): [string, string][] => {
    if (typeof line !== 'string') return [];
    const at = line.indexOf('=');
    return at > 0 ? [[line.slice(0, at), line.slice(at + 1)]] : [];
  });
  return Object.fromEntries(pairs);
}

/** The environment that the module gets of the manifest. */
export function environmentOf(module: DeployedModule): Record<string, string> {
  return { ...module.env, ...optionEnv(module) };
}

/** JSON path of a variable of it. */
export function envPlace(module: DeployedModule, name: string): string {
  return Object.hasOwn(optionEnv(module), name)
    ? optionPlace(module, `Env ${name}`)
    : `${module.place}.env.${name}`;
}

export function desiredOf(content: Content, name: string): JsonObject | undefined {
  const desired = content[name]?.[DESIRED];
  return isRecord(desired) ? desired : undefined;
}

/** JSON path of a property of a module's twin. */
export function twinPlace(name: string, property?: string): string {
  return `$.modulesContent.${name}['${DESIRED}']${property === undefined ? '' : `.${property}`}`;
}

export function error(path: string, problem: string): Finding {
  return { severity: 'error', path, problem };
}

function optionsOf(settings: Record<string, unknown>): Record<string, unknown> | null {
  const text = joinCreateOptions(settings);
  if (typeof text !== 'string') return null;
  if (text.trim() === '') return {};
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}

function envOf(env: unknown): Record<string, string> {
  const entries = Object.entries(isRecord(env) ? env : {}).flatMap(([name, entry]): [string, string][] => {
    const value = isRecord(entry) ? entry['value'] : undefined;
    return ['string', 'number', 'boolean'].includes(typeof value) ? [[name, String(value)]] : [];
  });
  return Object.fromEntries(entries);
}
