import type { ExecCommand } from '../control/control-api.ts';
import type { DesiredModule } from './desired-modules.ts';
import type { ModuleLog } from './module-log.ts';

/** One run of a module's program, as a process or as a container. */
export interface ModuleRun {
  readonly kind: 'run';
  /** Process id on this machine; null when it cannot be told. */
  readonly pid: number | null;
  /** What stands in for what the manifest names, for the log. */
  readonly notes: readonly string[];
  /** Options of the manifest that mean nothing here, by name. */
  readonly without: readonly string[];
  /** Resolves with the exit code, as Docker counts it: 128 + number of the signal that ended it. Never rejects. */
  readonly ended: Promise<number>;
  /** The stop signal, and SIGKILL when the time is over. Resolves when it has ended, or cannot be ended; never rejects. */
  stop(): Promise<void>;
  /** Reports each outcome of the module's health check, if it has one, until the returned function is called. */
  watchHealth(report: (healthy: boolean, output: string) => void): () => void;
  /** The command as it is to be run beside the program. Throws NOT_EMULATED where that is not for the local edge to do. */
  exec(words: readonly string[]): ExecCommand;
}

/** A server that somebody else runs: there is nothing to start, watch or stop. */
export interface ForeignServer {
  readonly kind: 'foreign';
  readonly address: string;
  readonly notes: readonly string[];
}

/** Makes modules run. A start that fails rejects: with NOT_EMULATED when it can never be, with anything else when a later try may do. */
export interface ModuleRunner {
  /** Ends what an earlier run of the local edge left behind; answers a line about each. */
  clean(): Promise<readonly string[]>;
  start(module: DesiredModule, output: ModuleLog): Promise<ModuleRun | ForeignServer>;
  /** Forgets what belongs to a module alone, as removing its container does. Named volumes stay. */
  discard(name: string): Promise<void>;
  /** Everything has been stopped, and the local edge ends. Never rejects; answers a line about each thing that is left. */
  close(): Promise<readonly string[]>;
}
