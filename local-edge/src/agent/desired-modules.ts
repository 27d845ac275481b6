import { joinCreateOptions } from '../manifest/create-options.ts';
import { isRecord } from '../manifest/record.ts';
import type { RestartPolicy } from './restart-policy.ts';

/** A module as `$edgeAgent` wants it. */
export interface DesiredModule {
  readonly name: string;
  readonly image: string;
  readonly status: 'running' | 'stopped';
  readonly restartPolicy: RestartPolicy;
  readonly startupOrder: number;
  readonly env: Readonly<Record<string, string>>;
  /** The joined createOptions, parsed. */
  readonly createOptions: Readonly<Record<string, unknown>>;
  /** What is reported back as it is. */
  readonly echo: Readonly<Record<string, unknown>>;
  /** Equal texts mean that the process need not be made anew. */
  readonly signature: string;
}

export interface Desired {
  /** As edgeAgent reports it: 200, 400 (bad configuration), 412 (schema version), 417 (no configuration). */
  readonly code: 200 | 400 | 412 | 417;
  readonly description: string;
  readonly modules: readonly DesiredModule[];
  readonly images: { readonly edgeAgent: string; readonly edgeHub: string };
}

const lastStartupOrder = 4294967295;

/** Reads the desired properties of `$edgeAgent`. A document that does not hold is refused as a whole, as edgeAgent does. */
export function readDesired(properties: Readonly<Record<string, unknown>>): Desired {
  const images = {
    edgeAgent: systemImage(properties, 'edgeAgent'),
    edgeHub: systemImage(properties, 'edgeHub'),
  };
  const refuse = (code: Desired['code'], description: string): Desired => ({
    code,
    description,
    modules: [],
    images,
  });
  if (Object.keys(properties).length === 0) return refuse(417, 'There is no deployment yet.');
  const version = properties['schemaVersion'];
  if (typeof version !== 'string' || !/^1\.[01](\.\d+)?$/.test(version)) {
    return refuse(412, '$edgeAgent schemaVersion must be 1.0 or 1.1.');
  }
  const modules = properties['modules'] ?? {};
  if (!isRecord(modules)) return refuse(400, '$edgeAgent modules is not an object.');
  const read: DesiredModule[] = [];
  const mistakes: string[] = [];
  for (const [name, module] of Object.entries(modules)) {
    const result = readModule(name, module);
    if (typeof result === 'string') mistakes.push(`$edgeAgent modules.${name}: ${result}`);
    else read.push(result);
  }
  if (mistakes.length > 0) return refuse(400, mistakes.join(' '));
  return { code: 200, description: '', modules: read, images };
}

function readModule(name: string, module: unknown): DesiredModule | string {
  if (name === 'edgeAgent' || name === 'edgeHub') return 'a system module has this name.';
  if (!isRecord(module)) return 'it is not an object.';
  const { status, restartPolicy, startupOrder, env, settings, version, imagePullPolicy } = module;
  if (module['type'] !== 'docker') return 'type must be "docker".';
  if (status !== 'running' && status !== 'stopped') return 'status must be "running" or "stopped".';
  const policy = restartPolicy ?? 'on-unhealthy';
  if (!isRestartPolicy(policy)) return 'restartPolicy must be never, on-failure, on-unhealthy or always.';
  const order = startupOrder ?? lastStartupOrder;
  if (typeof order !== 'number' || !Number.isInteger(order) || order < 0 || order > lastStartupOrder) {
    return `startupOrder must be a whole number from 0 to ${lastStartupOrder}.`;
  }
  if (!isRecord(settings)) return 'settings is missing.';
  const image = settings['image'];
  if (typeof image !== 'string' || image.trim() === '') return 'settings.image is missing.';
  const values = readEnv(env);
  if (values === null) return 'env must hold objects with a "value".';
  const createOptions = readCreateOptions(settings);
  if (typeof createOptions === 'string') return createOptions;
  return {
    name,
    image,
    status,
    restartPolicy: policy,
    startupOrder: order,
    env: values,
    createOptions,
    echo: {
      type: 'docker',
      status,
      restartPolicy: policy,
      imagePullPolicy: imagePullPolicy ?? 'on-create',
      ...(version === undefined ? {} : { version }),
      ...(startupOrder === undefined ? {} : { startupOrder: order }),
      settings,
      ...(env === undefined ? {} : { env }),
    },
    // Everything but the status: edgeAgent makes the container anew when any of it changes.
    signature: JSON.stringify([image, policy, order, version, imagePullPolicy, values, createOptions]),
  };
}

function readEnv(env: unknown): Record<string, string> | null {
  const values = new Map<string, string>();
  if (env === undefined) return {};
  if (!isRecord(env)) return null;
  for (const [key, entry] of Object.entries(env)) {
    const value = isRecord(entry) ? entry['value'] : undefined;
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') return null;
    values.set(key, String(value));
  }
  return Object.fromEntries(values);
}

function readCreateOptions(settings: Record<string, unknown>): Record<string, unknown> | string {
  const text = joinCreateOptions(settings);
  if (typeof text !== 'string') return text.problem;
  if (text.trim() === '') return {};
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : 'createOptions is JSON, but no object.';
  } catch {
    return 'createOptions is no JSON.';
  }
}

function isRestartPolicy(value: unknown): value is RestartPolicy {
  return value === 'never' || value === 'on-failure' || value === 'on-unhealthy' || value === 'always';
}

function systemImage(properties: Readonly<Record<string, unknown>>, name: string): string {
  const system = properties['systemModules'];
  const module = isRecord(system) ? system[name] : undefined;
  const settings = isRecord(module) ? module['settings'] : undefined;
  const image = isRecord(settings) ? settings['image'] : undefined;
  return typeof image === 'string' ? image : '';
}
