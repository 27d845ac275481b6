/** What the control server needs of the agent and of the runtime that composes everything. */

/** `failed`: ended and will not be started again; `backoff`: waits for its next start; `unhealthy`: its health check fails. */
export type ModuleState = 'running' | 'stopped' | 'backoff' | 'failed' | 'unhealthy';

/** One module as `edge list` shows it. */
export interface ModuleStatus {
  readonly name: string;
  readonly status: ModuleState;
  /** For a human: "Up 3 minutes", "exited with code 1, next start in 20 s". */
  readonly description: string;
  /** The image of the manifest, with its tag. */
  readonly image: string;
  readonly restartCount: number;
  /** Of the last run; null while the first one lasts. */
  readonly exitCode: number | null;
  /** ISO 8601; null when it was never started. */
  readonly startedAt: string | null;
  readonly pid: number | null;
}

export interface LogsOptions {
  /** Only the last lines; all that are kept when absent. */
  readonly tail?: number;
  /** Goes on with new lines, over restarts of the module, until the signal aborts. */
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

/** A command to be run beside a module's program, with everything that it takes. */
export interface ExecCommand {
  readonly words: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

export interface AgentControl {
  list(): ModuleStatus[];
  /** Stops and starts the process; resolves when the new one runs. Unknown names reject with EdgeError NOT_FOUND. */
  restart(name: string): Promise<void>;
  /** Puts the container's paths and ports into a command; modules that do not run throw EdgeError NOT_RUNNING. */
  exec(name: string, words: readonly string[]): ExecCommand;
  /** Lines without their line ends. Called only with names of `list()`. */
  logs(name: string, options: LogsOptions): AsyncIterable<string>;
}

export interface RuntimeControl {
  /**
   * The environment of a module that is started by hand; a name without an identity is registered first.
   * The gateway host name stands alone, as on a device: SDKs take no port there, and Node programs are redirected.
   */
  moduleEnv(name: string): Promise<Readonly<Record<string, string>>>;
  /** Begins to stop everything; returns at once, since the caller's own connection ends with it. */
  stop(): void;
}
