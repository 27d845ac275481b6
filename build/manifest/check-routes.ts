import { parseRoute } from '../../local-edge/src/edgehub/routes/route.ts';
import type { Route } from '../../local-edge/src/edgehub/routes/route.ts';
import type { Finding } from '../../local-edge/src/manifest/finding.ts';
import { isRecord } from '../../local-edge/src/manifest/record.ts';
import type { Content, DeployedModule } from './content.ts';
import { desiredOf, error, twinPlace } from './content.ts';
import type { OwnModule } from './own-modules.ts';

/** Routes by name, and by what they lead from and to. Their grammar is edgeHub's and checked with the twin. */
export function checkRoutes(
  content: Content,
  modules: readonly DeployedModule[],
  own: ReadonlyMap<string, OwnModule>,
): Finding[] {
  const routes = desiredOf(content, '$edgeHub')?.['routes'];
  return Object.entries(isRecord(routes) ? routes : {}).flatMap(([name, given]) => {
    const findings: Finding[] = [];
    const path = `${twinPlace('$edgeHub')}.routes${/^[\w-]+$/.test(name) ? `.${name}` : `['${name}']`}`;
    if (name === '' || /[.$#\s]/.test(name))
      findings.push(error(path, 'the name of a route must not hold ., $, # or blanks.'));
    const text = isRecord(given) ? given['route'] : given;
    const route = typeof text === 'string' ? read(text) : undefined;
    if (route !== undefined) findings.push(...checkEnds(route, path, modules, own));
    return findings;
  });
}

const sources = [
  '/*',
  '/messages/*',
  '/messages/modules/<module>/*',
  '/messages/modules/<module>/outputs/<output>',
  '/twinChangeNotifications',
];

/** Whether edgeHub has messages below a path: it takes them by whole names without case, and `*` for the rest of a path only. */
function isSource(source: string): boolean {
  return /^\/(?:twinChangeNotifications\/|messages\/(?:modules\/(?:[^/]+\/(?:outputs\/.*)?)?)?)?$/i.test(
    source,
  );
}

/** The module that a path names, or the empty text. */
function senderOf(source: string): string {
  return /^\/messages\/modules\/([^/]+)\//i.exec(source)?.[1] ?? '';
}

function read(text: string): Route | undefined {
  try {
    return parseRoute(text);
  } catch {
    return undefined;
  }
}

function checkEnds(
  { source, sink }: Route,
  path: string,
  modules: readonly DeployedModule[],
  own: ReadonlyMap<string, OwnModule>,
): Finding[] {
  const findings: Finding[] = [];
  const named = new Map(modules.map((module) => [module.name.toLowerCase(), module]));
  const from = senderOf(source);
  if (!isSource(source))
    findings.push(error(path, `no message comes from ${source}; write ${sources.join(', ')}.`));
  else if (from !== '' && !named.has(from.toLowerCase()))
    findings.push(error(path, `there is no module ${from} to lead messages from.`));
  if (sink.kind === 'input') {
    const target = named.get(sink.moduleId.toLowerCase());
    const inputs = target === undefined ? undefined : own.get(target.name)?.inputs;
    if (target === undefined)
      findings.push(error(path, `there is no module ${sink.moduleId} to lead messages to.`));
    else if (inputs !== undefined && !inputs.includes(sink.input)) {
      const known = inputs.length === 0 ? 'it has none' : `it has ${inputs.join(', ')}`;
      findings.push(error(path, `module ${target.name} has no input ${sink.input}; ${known}.`));
    }
  }
  return findings;
}
