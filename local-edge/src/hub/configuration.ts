import { parseEdgeHubConfig } from '../edgehub/edge-hub-config.ts';
import type { ConfigurationContent, JsonObject, JsonValue } from './hub-api.ts';
import { isObject, withoutNulls } from './twin-merge.ts';
import { findBreach, maxSectionBytes, serviceRules, sizeOf } from './twin-rules.ts';

export interface CheckedConfiguration {
  readonly findings: readonly string[];
  /** Identities to create: every key of modulesContent and every module of `$edgeAgent`. */
  readonly moduleIds: ReadonlySet<string>;
  /** The whole desired section of each module that the content names. */
  readonly desired: ReadonlyMap<string, JsonObject>;
}

const wholeKey = 'properties.desired';
const pathPrefix = `${wholeKey}.`;
const systemModules = new Set(['$edgeAgent', '$edgeHub']);

/** Checks a deployment and works out what each desired section becomes. Pure: nothing is applied. */
export function checkConfiguration(
  content: ConfigurationContent,
  currentDesired: (moduleId: string) => JsonObject,
): CheckedConfiguration {
  const findings: string[] = [];
  const moduleIds = new Set<string>();
  const desired = new Map<string, JsonObject>();
  if (!isObject(content.modulesContent)) {
    return { findings: ['The content has no "modulesContent" object.'], moduleIds, desired };
  }
  for (const [moduleId, parts] of Object.entries(content.modulesContent)) {
    checkModuleId(moduleId, 'modulesContent', findings);
    moduleIds.add(moduleId);
    if (!isObject(parts)) {
      findings.push(`modulesContent.${moduleId} is not an object.`);
      continue;
    }
    const section = desiredOf(moduleId, parts, currentDesired, findings);
    if (section !== undefined) desired.set(moduleId, section);
  }
  for (const moduleId of deployedModules(desired.get('$edgeAgent'), findings)) moduleIds.add(moduleId);
  const edgeHub = desired.get('$edgeHub');
  if (edgeHub !== undefined) findings.push(...parseEdgeHubConfig(edgeHub).findings);
  return { findings, moduleIds, desired };
}

function desiredOf(
  moduleId: string,
  parts: JsonObject,
  currentDesired: (moduleId: string) => JsonObject,
  findings: string[],
): JsonObject | undefined {
  const place = `modulesContent.${moduleId}`;
  const whole = parts[wholeKey];
  if (whole !== undefined && !isObject(whole)) {
    findings.push(`${place}: "${wholeKey}" is not an object.`);
    return undefined;
  }
  let section = whole ?? currentDesired(moduleId);
  let named = whole !== undefined;
  for (const [key, value] of Object.entries(parts)) {
    if (key === wholeKey) continue;
    if (!key.startsWith(pathPrefix) || key.length === pathPrefix.length) {
      findings.push(`${place}: the key "${key}" is neither "${wholeKey}" nor "${pathPrefix}<path>".`);
      continue;
    }
    section = setAt(section, key.slice(pathPrefix.length).split('.'), value);
    named = true;
  }
  if (!named) return undefined;
  const breach = findBreach(section, serviceRules);
  if (breach !== undefined) {
    findings.push(`${place}: ${breach}`);
    return undefined;
  }
  const clean = withoutNulls(section);
  const bytes = sizeOf(clean);
  if (bytes > maxSectionBytes) {
    findings.push(`${place}: the desired section has ${bytes} bytes; ${maxSectionBytes} is the limit.`);
  }
  return clean;
}

/** Layered deployments name a property by its path: `properties.desired.a.b`. */
function setAt(section: JsonObject, path: readonly string[], value: JsonValue): JsonObject {
  const [first = '', ...rest] = path;
  if (rest.length === 0) return { ...section, [first]: value };
  const inner = section[first];
  return { ...section, [first]: setAt(isObject(inner) ? inner : {}, rest, value) };
}

function deployedModules(edgeAgent: JsonObject | undefined, findings: string[]): string[] {
  const modules = edgeAgent?.['modules'];
  if (modules === undefined) return [];
  if (!isObject(modules)) {
    findings.push('$edgeAgent: "modules" is not an object.');
    return [];
  }
  for (const moduleId of Object.keys(modules)) checkModuleId(moduleId, '$edgeAgent modules', findings);
  return Object.keys(modules);
}

function checkModuleId(moduleId: string, place: string, findings: string[]): void {
  if (systemModules.has(moduleId) || /^[A-Za-z0-9_-]{1,128}$/.test(moduleId)) return;
  findings.push(
    `${place}: "${moduleId}" is no module name; use ASCII letters, digits, "_" and "-", at most 128.`,
  );
}
