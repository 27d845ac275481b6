import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FoundProgram } from '../services/find-server.ts';

export interface MosquittoConfiguration {
  /** The configuration file that the command line names; null when there is none. */
  readonly file: string | null;
  readonly text: string;
  readonly ports: readonly number[];
}

/** Configuration files that the official image brings with it. */
const imageFiles: ReadonlyMap<string, string> = new Map([
  ['/mosquitto-no-auth.conf', 'listener 1883\nallow_anonymous true\n'],
]);

/** Reads the configuration of a mosquitto command line. Without any listener the image serves 1883 in its own network only. */
export function mosquittoConfiguration(words: readonly string[]): MosquittoConfiguration {
  const text = words.join(' ');
  const named = /(?:^|\s)(?:-c|--config-file)[\s=]+(\S+)/.exec(text)?.[1] ?? null;
  const file = named !== null && existsSync(named) ? named : null;
  const configuration = file === null ? (imageFiles.get(named ?? '') ?? '') : readFileSync(file, 'utf8');
  const listeners = [...configuration.matchAll(/^\s*(?:listener|port)\s+(\d+)/gm)].map((match) =>
    Number(match[1]),
  );
  return { file, text: configuration, ports: listeners.length === 0 ? [1883] : [...new Set(listeners)] };
}

/** A stand-in for `mosquitto` which runs the program that was found with a copy of its configuration on loopback ports. */
export function writeMosquittoWrapper(input: {
  readonly folder: string;
  readonly found: FoundProgram;
  readonly ports: ReadonlyMap<number, number>;
  readonly configuration: MosquittoConfiguration;
  readonly map: (text: string) => string;
}): void {
  const { folder, found, ports, configuration, map } = input;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  let text = map(configuration.text).replace(
    /^(\s*)(?:listener|port)\s+(\d+)[^\n]*$/gm,
    (_all, space: string, port: string) => `${space}listener ${ports.get(Number(port)) ?? port} 127.0.0.1`,
  );
  if (!/^\s*listener\s/m.test(text)) text += `\nlistener ${[...ports.values()][0] ?? 1883} 127.0.0.1\n`;
  // As root it would change to a user of its own, who cannot read the module's folders.
  if (!/^\s*user\s/m.test(text)) text += '\nuser root\n';
  const file = join(folder, 'mosquitto.conf');
  writeFileSync(file, text, { mode: 0o600 });
  const settings = Object.entries(found.env).map(([name, value]) => `'${name}=${value}' `);
  const wrapper = join(folder, 'mosquitto');
  writeFileSync(
    wrapper,
    `#!/bin/sh
# The broker of the module's image, with its configuration on loopback ports.
count=$#
while [ "$count" -gt 0 ]; do
  argument=$1; shift; count=$((count - 1))
  case $argument in
    -c | --config-file) [ "$count" -gt 0 ] && { shift; count=$((count - 1)); } ;;
    *) set -- "$@" "$argument" ;;
  esac
done
exec env ${settings.join('')}'${found.command}' -c '${file}' "$@"
`,
  );
  chmodSync(wrapper, 0o755);
}
