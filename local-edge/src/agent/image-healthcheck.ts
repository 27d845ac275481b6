import { existsSync, readFileSync } from 'node:fs';
import { isRecord } from '../manifest/record.ts';

/**
 * The HEALTHCHECK of a Dockerfile as the daemon reads it out of the image: what createOptions leave open comes from there. Only
 * what our own Dockerfiles use is read: options, then CMD with a JSON list or a shell text.
 */
export function imageHealthcheck(dockerfile: string): Record<string, unknown> | null {
  if (!existsSync(dockerfile)) return null;
  const text = readFileSync(dockerfile, 'utf8').replaceAll('\\\n', ' ');
  const match = /^HEALTHCHECK\s+((?:--\S+\s+)*)CMD\s+(.+)$/m.exec(text);
  if (match === null) return null;
  const option = (name: string): number | undefined => {
    const value = new RegExp(`--${name}=(\\d+)(ms|s|m)?`).exec(match[1] ?? '');
    return value === null
      ? undefined
      : Number(value[1]) * ({ ms: 1e6, s: 1e9, m: 60e9 }[value[2] ?? ''] ?? 1);
  };
  const command = (match[2] ?? '').trim();
  return withoutUndefined({
    Test: command.startsWith('[') ? ['CMD', ...(JSON.parse(command) as string[])] : ['CMD-SHELL', command],
    Interval: option('interval'),
    Timeout: option('timeout'),
    StartPeriod: option('start-period'),
    Retries: option('retries'),
  });
}

/** createOptions with the image's health check where they have none of their own (an empty Test inherits, NONE switches off). */
export function withImageHealthcheck(
  options: Readonly<Record<string, unknown>>,
  dockerfile: string | undefined,
): Readonly<Record<string, unknown>> {
  const given = options['Healthcheck'];
  const test = isRecord(given) ? given['Test'] : undefined;
  if (dockerfile === undefined || (Array.isArray(test) && test.length > 0)) return options;
  const inherited = imageHealthcheck(dockerfile);
  return inherited === null
    ? options
    : { ...options, Healthcheck: { ...inherited, ...(isRecord(given) ? withoutTest(given) : {}) } };
}

function withoutTest(given: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(given).filter(([key, value]) => key !== 'Test' && value !== 0));
}

function withoutUndefined(value: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined));
}
