import { fileURLToPath, pathToFileURL } from 'node:url';
import { readTable, updateTable } from './table-file.js';
import type { NetTable } from './table-file.js';

/** The names and ports of the module network, in `net.json`. All modules share it; the agent owns the names. */
export interface NetworkTable {
  readonly file: string;
  read(): NetTable;
  /** Lets a module's name exist: ports on which it does not listen refuse the connection. */
  addName(name: string): void;
  /** `name:port` is served on this loopback port. */
  set(name: string, containerPort: number, loopbackPort: number): void;
  /** Loopback port of a name and port, as a module itself (`localhost` included) or another one reaches it. */
  find(name: string, containerPort: number): number | undefined;
  /** Forgets the ports of a name that has ended; `withName` forgets the name too. */
  clear(name: string, withName: boolean): void;
}

/** Opens the table and empties it: what an earlier run left points to ports that may belong to others by now. */
export function openNetworkTable(file: string): NetworkTable {
  updateTable(file, (table) => {
    for (const key of Object.keys(table)) delete table[key];
  });
  return {
    file,
    read: () => readTable(file),
    addName: (name) => void updateTable(file, (table) => (table[`${name}:*`] = 0)),
    set: (name, containerPort, loopbackPort) =>
      void updateTable(file, (table) => (table[`${name}:${containerPort}`] = loopbackPort)),
    find(name, containerPort) {
      const table = readTable(file);
      return table[`${name}/localhost:${containerPort}`] ?? table[`${name}:${containerPort}`];
    },
    clear: (name, withName) =>
      void updateTable(file, (table) => {
        for (const key of Object.keys(table)) {
          const mine = key.startsWith(`${name}:`) || key.startsWith(`${name}/localhost:`);
          if (mine && (withName || key !== `${name}:*`)) delete table[key];
        }
      }),
  };
}

/**
 * Value of Node's `--import` that puts a program into the module network. With `module`, its own servers take part too; without,
 * it only reaches the others (a program started by hand keeps its ports).
 */
export function preloadUrl(
  tableFile: string,
  module?: { readonly name: string; readonly hostPorts: ReadonlyMap<number, number> },
): string {
  const url = pathToFileURL(fileURLToPath(import.meta.resolve('./preload.js')));
  url.searchParams.set('table', tableFile);
  if (module !== undefined) {
    url.searchParams.set('module', module.name);
    for (const [port, hostPort] of module.hostPorts) url.searchParams.set(String(port), String(hostPort));
  }
  return url.href;
}
