import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What is asked of a cluster, a Sentinel or a replica, none of which the deployment has. */
const otherModes = /^(cluster\||sentinel|asking$|readonly$|readwrite$|role$)/;

/** The commands that `ACL_<MODULE>` of the template permits. */
export function permitted(root: string): Map<string, Set<string>> {
  const text = readFileSync(join(root, 'deployment.template.json'), 'utf8');
  const lists = [...text.matchAll(/"ACL_([A-Z_]+)": \{\s*"value": "([^"]*)"/g)];
  return new Map(
    lists.map(([, name = '', rules = '']) => [
      name.toLowerCase().replaceAll('_', '-'),
      new Set([...rules.matchAll(/\+(\S+)/g)].map((match) => match[1] ?? '')),
    ]),
  );
}

/** Findings, one sentence each: a command that a module called and may not call, or may call and never did. */
export function compareLists(root: string, traces: string): string[] {
  const called = new Map<string, Set<string>>();
  const lists = permitted(root);
  for (const path of globSync('*.json', { cwd: traces })) {
    const { file, called: commands } = JSON.parse(readFileSync(join(traces, path), 'utf8')) as {
      file: string;
      called: string[];
    };
    const module = [...lists.keys()].find((name) => file.startsWith(name));
    if (module === undefined) continue;
    const known = called.get(module) ?? new Set<string>();
    for (const command of commands) if (!otherModes.test(command)) known.add(command);
    called.set(module, known);
  }
  return [...lists].flatMap(([module, allowed]) => {
    const seen = called.get(module);
    if (seen === undefined || seen.size === 0) return [`${module}: no test of it was watched`];
    return [
      ...[...seen]
        .filter((one) => !allowed.has(one))
        .map((one) => `${module} calls ${one}, which its ACL does not permit`),
      ...[...allowed]
        .filter((one) => !seen.has(one))
        .map((one) => `${module} may call ${one}, and no test saw it`),
    ].sort();
  });
}
