import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

/** The first circle of relative imports among the files, as a list of paths, or undefined. Types count: a circle is a knot to read. */
export function importCycle(root: string, patterns: readonly string[]): string[] | undefined {
  const imports = new Map<string, string[]>();
  for (const file of globSync([...patterns], { cwd: root })) {
    const text = readFileSync(join(root, file), 'utf8');
    const targets = [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+\.[jt]s)'/g)].map(([, target]) =>
      normalize(join(dirname(file), target ?? '')),
    );
    imports.set(normalize(file), targets);
  }
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): string[] | undefined => {
    if (done.has(file)) return undefined;
    const start = path.indexOf(file);
    if (start >= 0) return [...path.slice(start), file];
    path.push(file);
    for (const target of imports.get(file) ?? []) {
      const found = visit(target);
      if (found !== undefined) return found;
    }
    path.pop();
    done.add(file);
    return undefined;
  };
  for (const file of imports.keys()) {
    const found = visit(file);
    if (found !== undefined) return found;
  }
  return undefined;
}
