import { existsSync, readFileSync } from 'node:fs';

/**
 * Container ports on which a redis-server command line listens: `--port` and `--tls-port` anywhere in it (a `sh -c` text
 * included), else those of the configuration file that it names, else 6379.
 */
export function redisPorts(words: readonly string[]): number[] {
  const text = words.join(' ');
  const file = /(?:^|\s)(\/\S+\.conf)(?=\s|$)/.exec(text)?.[1];
  const settings = file !== undefined && existsSync(file) ? readFileSync(file, 'utf8') : '';
  const find = (option: string): number | undefined => {
    const given = [...text.matchAll(new RegExp(`--${option}[\\s=]+(\\d+)`, 'g'))].at(-1)?.[1];
    const configured = [...settings.matchAll(new RegExp(`^\\s*${option}\\s+(\\d+)`, 'gm'))].at(-1)?.[1];
    const value = given ?? configured;
    return value === undefined ? undefined : Number(value);
  };
  // Port 0 switches the plain listener off, in favour of TLS.
  return [find('port') ?? 6379, find('tls-port') ?? 0].filter((port) => port > 0);
}
