import { existsSync, readFileSync } from 'node:fs';
import { isRecord } from '../manifest/record.ts';

/** What an image brings along, as the daemon reads it; createOptions go before it. */
interface ImageDefaults {
  readonly healthcheck: Readonly<Record<string, unknown>> | null;
  readonly command: readonly string[] | null;
  readonly env: Readonly<Record<string, string>>;
}

const none: ImageDefaults = { healthcheck: null, command: null, env: {} };

/** Only what our own Dockerfiles use is read: HEALTHCHECK with CMD, CMD as a JSON list, ENV of the last stage as NAME=VALUE words. */
export function imageDefaults(dockerfile: string | undefined): ImageDefaults {
  if (dockerfile === undefined || !existsSync(dockerfile)) return none;
  const text = readFileSync(dockerfile, 'utf8').replaceAll('\\\n', ' ');
  const last = text.slice(text.lastIndexOf('\nFROM ') + 1);
  const command = /^CMD\s+(\[.+\])$/m.exec(last)?.[1];
  const words = /^ENV\s+(.+)$/m.exec(last)?.[1]?.split(/\s+/) ?? [];
  return {
    healthcheck: healthcheckOf(last),
    command: command === undefined ? null : (JSON.parse(command) as string[]),
    env: Object.fromEntries(
      words.map((word): [string, string] => [word.replace(/=.*/, ''), word.replace(/^[^=]*=/, '')]),
    ),
  };
}

function healthcheckOf(text: string): Record<string, unknown> | null {
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

/** createOptions with what the image says where they say nothing (an empty Test inherits, NONE switches off). */
export function withImageDefaults(
  options: Readonly<Record<string, unknown>>,
  { healthcheck, command }: ImageDefaults,
): Readonly<Record<string, unknown>> {
  const given = options['Healthcheck'];
  const isOwnCheck = isRecord(given) && isFilled(given['Test']);
  const isOwnCommand = isFilled(options['Cmd']) || isFilled(options['Entrypoint']);
  return {
    ...options,
    ...(command === null || isOwnCommand ? {} : { Cmd: command }),
    ...(healthcheck === null || isOwnCheck
      ? {}
      : { Healthcheck: { ...healthcheck, ...(isRecord(given) ? withoutTest(given) : {}) } }),
  };
}

function isFilled(value: unknown): boolean {
  return (Array.isArray(value) || typeof value === 'string') && value.length > 0;
}

function withoutTest(given: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(given).filter(([key, value]) => key !== 'Test' && value !== 0));
}

function withoutUndefined(value: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined));
}
