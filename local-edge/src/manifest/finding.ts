/** Something about a template or manifest that its author should know. */
export interface Finding {
  /** `error`: the result cannot be used; `warning`: it can, and may not do what was meant. */
  readonly severity: 'error' | 'warning';
  /** Where: `$.modulesContent.$edgeAgent…`, or `FILE:LINE:COLUMN` for text that is no JSON. */
  readonly path: string;
  /** One sentence: what is wrong and what to do. Never the value of a variable. */
  readonly problem: string;
}

/** Path of a member: `at.key`, or `at['a key']`. */
export function memberPath(at: string, key: string): string {
  return at + (/^[\w$-]+$/.test(key) ? `.${key}` : `['${key}']`);
}

/** One line per finding, errors first. */
export function describeFindings(findings: readonly Finding[]): string {
  return [...findings]
    .sort((a, b) => Number(a.severity === 'warning') - Number(b.severity === 'warning'))
    .map((one) => `${one.severity === 'warning' ? 'warning: ' : ''}${one.path}: ${one.problem}`)
    .join('\n');
}
