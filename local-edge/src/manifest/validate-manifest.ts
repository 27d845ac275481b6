import { joinCreateOptions } from './create-options.ts';
import type { Finding } from './finding.ts';
import { modulesOf } from './manifest-modules.ts';
import { isRecord } from './record.ts';

const desiredKey = 'properties.desired';
const agentPath = `$.modulesContent.$edgeAgent['${desiredKey}']`;

/** The rules of the published schemas (deployment 2.0, edgeAgent 1.0 and 1.1) that edgeAgent also holds modules to. */
export function validateManifest(content: Readonly<Record<string, unknown>>): Finding[] {
  const findings: Finding[] = [];
  const wrong = (path: string, problem: string) => {
    findings.push({ severity: 'error', path, problem });
  };
  for (const name of ['$edgeAgent', '$edgeHub']) {
    if (!isRecord(content[name])) wrong(`$.modulesContent.${name}`, 'it is missing or no object.');
  }
  for (const name of Object.keys(content)) {
    if (name !== '$edgeAgent' && name !== '$edgeHub')
      checkModuleName(name, `$.modulesContent.${name}`, wrong);
  }
  const agent = content['$edgeAgent'];
  const desired = isRecord(agent) ? agent[desiredKey] : undefined;
  // A layered deployment names its parts by path and leaves the rest to the base.
  if (desired !== undefined) checkAgent(desired, wrong);
  for (const { name, module, place } of modulesOf(content)) {
    const system = name === 'edgeAgent' || name === 'edgeHub';
    if (!system) checkModuleName(name, place, wrong);
    checkModule(name, module, place, wrong);
  }
  return findings;
}

type Wrong = (path: string, problem: string) => void;

function checkAgent(desired: unknown, wrong: Wrong): void {
  if (!isRecord(desired)) {
    wrong(agentPath, 'it is not an object.');
    return;
  }
  const version = desired['schemaVersion'];
  if (typeof version !== 'string' || !/^1\.[01](\.\d+)?$/.test(version)) {
    wrong(`${agentPath}.schemaVersion`, 'it must be "1.0" or "1.1".');
  }
  const runtime = desired['runtime'];
  if (!isRecord(runtime) || runtime['type'] !== 'docker') {
    wrong(`${agentPath}.runtime`, 'it must be an object with "type": "docker".');
  }
  const system = desired['systemModules'];
  for (const name of ['edgeAgent', 'edgeHub']) {
    if (!isRecord(system) || !isRecord(system[name]))
      wrong(`${agentPath}.systemModules.${name}`, 'it is missing.');
  }
  for (const group of ['systemModules', 'modules']) {
    const modules = desired[group];
    if (modules === undefined && group === 'modules') continue;
    if (!isRecord(modules)) {
      wrong(`${agentPath}.${group}`, 'it is missing or no object.');
      continue;
    }
    for (const [name, module] of Object.entries(modules)) {
      if (!isRecord(module)) wrong(`${agentPath}.${group}.${name}`, 'it is not an object.');
    }
  }
}

function checkModuleName(name: string, path: string, wrong: Wrong): void {
  if (!/^[A-Za-z0-9_-]{1,128}$/.test(name)) {
    wrong(path, `"${name}" is no name of a module: use ASCII letters, digits, "_" and "-".`);
  }
}

function checkModule(name: string, module: Record<string, unknown>, path: string, wrong: Wrong): void {
  const isAgent = name === 'edgeAgent';
  const oneOf = (key: string, values: readonly string[], required: boolean) => {
    const value = module[key];
    if (value === undefined ? required : typeof value !== 'string' || !values.includes(value)) {
      wrong(
        `${path}.${key}`,
        `it ${value === undefined ? 'is missing; it ' : ''}must be one of ${values.join(', ')}.`,
      );
    }
  };
  oneOf('type', ['docker'], true);
  oneOf('status', ['running', 'stopped'], !isAgent);
  oneOf('restartPolicy', ['never', 'on-failure', 'on-unhealthy', 'always'], false);
  oneOf('imagePullPolicy', ['on-create', 'never'], false);
  const order = module['startupOrder'];
  if (
    order !== undefined &&
    !(Number.isInteger(order) && Number(order) >= 0 && Number(order) <= 4294967295)
  ) {
    wrong(`${path}.startupOrder`, 'it must be a whole number from 0 to 4294967295.');
  }
  checkEnv(module['env'], `${path}.env`, wrong);
  const settings = module['settings'];
  if (!isRecord(settings)) {
    wrong(`${path}.settings`, 'it is missing or no object.');
    return;
  }
  if (typeof settings['image'] !== 'string' || settings['image'].trim() === '') {
    wrong(`${path}.settings.image`, 'it is missing or empty.');
  }
  const joined = joinCreateOptions(settings);
  if (typeof joined !== 'string') {
    wrong(`${path}.settings.createOptions`, joined.problem);
    return;
  }
  if (joined.trim() === '') return;
  try {
    if (!isRecord(JSON.parse(joined))) wrong(`${path}.settings.createOptions`, 'it is JSON, but no object.');
  } catch {
    wrong(`${path}.settings.createOptions`, 'it is no JSON.');
  }
}

function checkEnv(env: unknown, path: string, wrong: Wrong): void {
  if (env === undefined) return;
  if (!isRecord(env)) {
    wrong(path, 'it is not an object.');
    return;
  }
  for (const [key, entry] of Object.entries(env)) {
    if (key === '' || /[+#$.\s]/.test(key))
      wrong(`${path}['${key}']`, 'a name must not hold +, #, $, . or blanks.');
    const value = isRecord(entry) ? entry['value'] : undefined;
    if (!['string', 'number', 'boolean'].includes(typeof value)) {
      wrong(`${path}.${key}`, 'it must be an object with "value": a string, a number, true or false.');
    }
  }
}
