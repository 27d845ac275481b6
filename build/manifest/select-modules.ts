import { parseRoute } from '../../local-edge/src/edgehub/routes/route.ts';
import type { JsonObject } from '../../local-edge/src/hub/hub-api.ts';
import { splitCreateOptions } from '../../local-edge/src/manifest/create-options.ts';
import { isRecord } from '../../local-edge/src/manifest/record.ts';
import { DESIRED, deployedModules } from './content.ts';
import type { Content } from './content.ts';

/**
 * The manifest with only the named modules: their twins, their routes, and in other modules only the volumes with secrets and the
 * Redis users that belong to them. Answers the names that are no modules when there are any.
 */
export function selectModules(
  content: Content,
  names: readonly string[],
):
  | { readonly content: Content; readonly left: readonly string[] }
  | { readonly unknown: readonly string[]; readonly known: readonly string[] } {
  const agent = content['$edgeAgent']?.[DESIRED];
  const modules = isRecord(agent) && isRecord(agent['modules']) ? agent['modules'] : {};
  const unknown = names.filter((name) => !Object.hasOwn(modules, name));
  if (unknown.length > 0) return { unknown, known: Object.keys(modules) };
  const gone = Object.keys(modules).filter((name) => !names.includes(name));
  const left = structuredClone(content);
  for (const name of gone) {
    delete left[name];
    const rest = left['$edgeAgent']?.[DESIRED];
    if (isRecord(rest) && isRecord(rest['modules'])) delete rest['modules'][name];
  }
  dropRoutes(left, gone);
  for (const { name, options } of deployedModules(left)) {
    const rest = left['$edgeAgent']?.[DESIRED];
    const module = isRecord(rest) && isRecord(rest['modules']) ? rest['modules'][name] : undefined;
    if (isRecord(module) && options !== null) dropAccess(module, options, gone);
  }
  return { content: left, left: gone };
}

function dropRoutes(content: Content, gone: readonly string[]): void {
  const hub = content['$edgeHub']?.[DESIRED];
  const routes = isRecord(hub) && isRecord(hub['routes']) ? hub['routes'] : {};
  for (const [name, given] of Object.entries(routes)) {
    const text = isRecord(given) ? given['route'] : given;
    if (typeof text === 'string' && gone.some((module) => touches(text, module))) delete routes[name];
  }
}

function touches(text: string, module: string): boolean {
  try {
    const { source, sink } = parseRoute(text);
    return (
      source.startsWith(`/messages/modules/${module}/`) || (sink.kind === 'input' && sink.moduleId === module)
    );
  } catch {
    return false;
  }
}

function dropAccess(
  module: Record<string, unknown>,
  options: Record<string, unknown>,
  gone: readonly string[],
): void {
  const env = module['env'];
  for (const name of gone) if (isRecord(env)) delete env[`ACL_${name.toUpperCase().replaceAll('-', '_')}`];
  const host = options['HostConfig'];
  const settings = module['settings'];
  if (!isRecord(host) || !Array.isArray(host['Mounts']) || !isRecord(settings)) return;
  const mounts: unknown[] = host['Mounts'];
  const kept = mounts.filter(
    (mount) => !(isRecord(mount) && gone.some((name) => mount['Source'] === `${name}-secrets`)),
  );
  if (kept.length === mounts.length) return;
  const pieces = splitCreateOptions(JSON.stringify({ ...options, HostConfig: { ...host, Mounts: kept } }));
  for (const key of Object.keys(settings)) if (/^createoptions\d*$/i.test(key)) delete settings[key];
  Object.assign(settings, pieces satisfies JsonObject | { readonly problem: string });
}
