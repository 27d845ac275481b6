import type { NetworkTable } from '../net/net-table.ts';
import type { Surroundings } from './surroundings.ts';

/** How a command runs beside a module's program, as `docker exec` runs one. */
export interface PlannedExec {
  readonly env: Readonly<Record<string, string>>;
  /** The command with the container's paths and the module's own ports as they are here; anew each time, since ports come and go. */
  words(command: readonly string[]): readonly string[];
}

export function planExec(
  { module, map }: Pick<Surroundings, 'module' | 'map'>,
  table: NetworkTable,
  env: Readonly<Record<string, string>>,
): PlannedExec {
  // Programs other than Node (curl, wget) know nothing of the table, and localhost is the container itself there.
  const ownPorts = /\b(localhost|127\.0\.0\.1):(\d+)/g;
  return {
    env,
    words: (command) =>
      command.map((word) =>
        map(word).replace(ownPorts, (all, _host: string, port: string) => {
          const found = table.find(module.name, Number(port));
          return found === undefined ? all : `127.0.0.1:${found}`;
        }),
      ),
  };
}
