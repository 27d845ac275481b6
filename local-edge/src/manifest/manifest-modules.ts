import { isRecord } from './record.ts';

/** Every module of `$edgeAgent`, system modules first, with its JSON path. The objects are those of the content. */
export function modulesOf(
  content: unknown,
): { name: string; module: Record<string, unknown>; place: string }[] {
  const agent = isRecord(content) ? content['$edgeAgent'] : undefined;
  const found: { name: string; module: Record<string, unknown>; place: string }[] = [];
  if (!isRecord(agent)) return found;
  const base = '$.modulesContent.$edgeAgent';
  const desired = agent['properties.desired'];
  for (const group of ['systemModules', 'modules']) {
    const modules = isRecord(desired) ? desired[group] : undefined;
    for (const [name, module] of Object.entries(isRecord(modules) ? modules : {})) {
      if (isRecord(module))
        found.push({ name, module, place: `${base}['properties.desired'].${group}.${name}` });
    }
    // Layered deployments name single modules by path.
    const prefix = `properties.desired.${group}.`;
    for (const [key, module] of Object.entries(agent)) {
      const name = key.slice(prefix.length);
      if (key.startsWith(prefix) && !name.includes('.') && isRecord(module)) {
        found.push({ name, module, place: `${base}['${key}']` });
      }
    }
  }
  return found;
}
