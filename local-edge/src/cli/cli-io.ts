import type { ExecCommand } from '../control/control-api.ts';

/** What a command has of the world: tests bring their own. */
export interface CliIo {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Ends commands that go on by themselves (`logs -f`, `monitor-events`). */
  readonly signal: AbortSignal;
  /** Runs a command on the terminal of this one; answers its exit code. */
  readonly run: (command: ExecCommand) => Promise<number>;
  /** Runs the local edge in this process; gets the arguments behind `start` as they are. */
  readonly start: (argv: readonly string[]) => Promise<number>;
}
