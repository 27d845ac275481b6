import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FoundProgram } from '../services/find-server.ts';
import { findExecutable } from '../services/find-executable.ts';
import { services } from '../services/catalogue.ts';

const standIn = fileURLToPath(new URL('./redis-cli.js', import.meta.url));

export interface WrapperInput {
  readonly folder: string;
  readonly found: FoundProgram;
  /** Container port → loopback port, for each port that the server listens on. */
  readonly ports: ReadonlyMap<number, number>;
  readonly netTable: string;
  readonly moduleName: string;
}

/**
 * Fills a folder for the front of PATH with stand-ins for a server's programs, so that any command line, `sh -c` included, runs
 * the program that was found, on its loopback ports.
 */
export async function writeRedisWrappers(input: WrapperInput): Promise<void> {
  const { found, folder } = input;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const aliases = services[found.service].aliases;
  const onPath = (process.env['PATH'] ?? '').split(delimiter);
  for (const [alias, programs] of Object.entries(aliases)) {
    const isServer = alias.endsWith('-server');
    const real = isServer
      ? { path: found.command }
      : await findExecutable(programs, [...found.folders, ...(found.kind === 'path' ? [] : onPath)]);
    const settings = Object.entries(found.env).map(([name, value]) => `${name}=${quote(value)}`);
    // A server out of a wheel or a container image comes without its client.
    const words =
      real === null
        ? [quote(process.execPath), quote(standIn)]
        : [...settings, quote(real.path), ...(isServer ? found.args.map(quote) : [])];
    const run = `exec env ${words.join(' ')} `;
    const file = join(folder, alias);
    writeFileSync(file, isServer ? serverScript(run, input.ports, found.version) : clientScript(run, input));
    chmodSync(file, 0o755);
  }
}

// The last of several equal options counts for the server, so ours go to the end.
function serverScript(run: string, ports: ReadonlyMap<number, number>, version: string): string {
  const cases = [...ports].map(([container, loopback]) => `    ${container}) echo ${loopback} ;;`).join('\n');
  const first = [...ports.keys()][0] ?? 6379;
  return `#!/bin/sh
# The server of the module's image, on a loopback port.
map() {
  case $1 in
${cases}
    *) echo "$1" ;;
  esac
}
case \${1:-} in --version | -v | --help | -h) ${run}"$@" ;; esac
port=${first} tls= previous=
for argument; do
  case $previous in
    --port) port=$argument ;;
    --tls-port) tls=$argument ;;
    --aclfile) ${forgetCommands(version)} ;;
  esac
  previous=$argument
done
[ -n "$tls" ] && set -- "$@" --tls-port "$(map "$tls")"
${run}"$@" --port "$(map "$port")" --bind 127.0.0.1
`;
}

/**
 * A server refuses an ACL file that permits a command which it does not know. The image of the manifest may be newer than the
 * program that stands in for it: WAITAOF came with 7.2.
 */
function forgetCommands(version: string): string {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > 7 || (major === 7 && minor >= 2)) return ':';
  return `sed 's/ +waitaof//' "$argument" > "$argument.known" && mv "$argument.known" "$argument"`;
}

function clientScript(run: string, input: WrapperInput): string {
  return `#!/bin/sh
# The client program; a host and port of the module network are those of net.json.
host=${input.moduleName} port=6379 count=$# options=1 asked=
while [ "$count" -gt 0 ]; do
  argument=$1; shift; count=$((count - 1))
  if [ "$options" = 1 ]; then
    case $argument in
      -h) host=$1; asked=1; shift; count=$((count - 1)); continue ;;
      -p) port=$1; asked=1; shift; count=$((count - 1)); continue ;;
      -[tsaurindDX] | --user | --pass | --sni | --cacert | --cacertdir | --cert | --key | --pattern | --rdb)
        [ "$argument" = -u ] && asked=uri
        set -- "$@" "$argument" "$1"; shift; count=$((count - 1)); continue ;;
      -*) ;;
      *) options=0 ;;
    esac
  fi
  set -- "$@" "$argument"
done
[ "$asked" = uri ] && { ${run}"$@"; }
case $host in localhost | 127.0.0.1 | ::1) name=${input.moduleName} ;; *) name=$host ;; esac
mapped=$(sed -n "s/^ *\\"$name:$port\\": \\([0-9]*\\),*$/\\1/p" ${quote(input.netTable)} | head -n 1)
[ -n "$mapped" ] && host=127.0.0.1 port=$mapped
${run}-h "$host" -p "$port" "$@"
`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
