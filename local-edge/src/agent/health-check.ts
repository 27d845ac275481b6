import { spawn } from 'node:child_process';
import type { ContainerOptions } from './container-options.ts';
import type { PlannedCheck } from './launch-plan.ts';
import type { PlannedExec } from './planned-exec.ts';
import { signalGroup } from './process-records.ts';

/** Plans the Healthcheck of createOptions: its command in the module's surroundings. */
export function planCheck(
  { healthcheck }: Pick<ContainerOptions, 'healthcheck'>,
  exec: PlannedExec,
): PlannedCheck | null {
  if (healthcheck === null) return null;
  const { intervalMs, timeoutMs, retries, startPeriodMs, shell, command } = healthcheck;
  const words = shell ? ['/bin/sh', '-c', ...command] : command;
  return {
    intervalMs,
    timeoutMs,
    retries,
    startPeriodMs,
    env: exec.env,
    command: () => exec.words(words),
  };
}

/** Runs a health check over and over, as Docker does, until stopped. */
export class HealthWatch {
  readonly #check: PlannedCheck;
  readonly #cwd: string;
  readonly #report: (healthy: boolean, output: string) => void;
  readonly #abort = new AbortController();
  readonly #startedAt = Date.now();
  #failures = 0;

  constructor(check: PlannedCheck, cwd: string, report: (healthy: boolean, output: string) => void) {
    this.#check = check;
    this.#cwd = cwd;
    this.#report = report;
    this.#next();
  }

  stop(): void {
    this.#abort.abort();
  }

  #next(): void {
    const timer = setTimeout(() => void this.#run(), this.#check.intervalMs);
    this.#abort.signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
  }

  async #run(): Promise<void> {
    const { code, output } = await runCheck(this.#check, this.#cwd, this.#abort.signal);
    if (this.#abort.signal.aborted) return;
    if (code === 0) {
      this.#failures = 0;
      this.#report(true, output);
    } else if (Date.now() - this.#startedAt > this.#check.startPeriodMs) {
      // Failures while the program still starts do not count.
      this.#failures++;
      if (this.#failures >= this.#check.retries) this.#report(false, output);
    }
    this.#next();
  }
}

function runCheck(
  check: PlannedCheck,
  cwd: string,
  signal: AbortSignal,
): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve) => {
    const [command = '', ...args] = check.command();
    const child = spawn(command, args, {
      cwd,
      env: { ...check.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    let output = '';
    const keep = (chunk: string) => void (output = (output + chunk).slice(-1000));
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    const kill = () => {
      if (child.pid !== undefined) signalGroup(child.pid, 'SIGKILL');
    };
    const timer = setTimeout(kill, check.timeoutMs);
    signal.addEventListener('abort', kill, { once: true });
    const done = (code: number | null, text: string) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', kill);
      resolve({ code, output: text.trim() });
    };
    child.once('error', (error) => done(null, error.message));
    child.once('close', (code) => done(code, output));
  });
}
