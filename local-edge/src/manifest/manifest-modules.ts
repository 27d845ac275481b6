import { isRecord } from './record.ts';

export interface ManifestModule {
  readonly name: string;
  /** Named among the system modules. */
  readonly system: boolean;
  readonly module: Record<string, unknown>;
  /** JSON path, for messages. */
  readonly place: string;
}

/** Every module of `$edgeAgent`, system modules first, with its JSON path. The objects are those of the content. */
export function modulesOf(content: unknown): ManifestModule[] {
  const agent = isRecord(content) ? content['$edgeAgent'] : undefined;
  const found: ManifestModule[] = [];
  if (!isRecord(agent)) return found;
  const base = '$.modulesContent.$edgeAgent';
  const desired = agent['properties.desired'];
  for (const group of ['systemModules', 'modules']) {
    const system = group === 'systemModules';
    const modules = isRecord(desired) ? desired[group] : undefined;
    for (const [name, module] of Object.entries(isRecord(modules) ? modules : {})) {
      if (isRecord(module))
        found.push({ name, system, module, place: `${base}['properties.desired'].${group}.${name}` });
    }
    // Layered deployments name single modules by path.
    const prefix = `properties.desired.${group}.`;
    for (const [key, module] of Object.entries(agent)) {
      const name = key.slice(prefix.length);
      if (key.startsWith(prefix) && !name.includes('.') && isRecord(module)) {
        found.push({ name, system, module, place: `${base}['${key}']` });
      }
    }
  }
  return found;
}
