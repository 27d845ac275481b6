import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import type { LaunchPlan } from './launch-plan.ts';
import type { ModuleLog } from './module-log.ts';
import { signalGroup } from './process-records.ts';

/** One run of a module's program. */
export interface ModuleProcess {
  readonly pid: number;
  /** Resolves with the exit code, as Docker counts it: 128 + number of the signal that ended it. */
  readonly ended: Promise<number>;
  /** The stop signal, and SIGKILL when the time is over. Resolves when it has ended. */
  stop(): Promise<void>;
}

/** Starts a program; rejects when it cannot be started at all. Its output goes to the log. */
export async function startProcess(plan: LaunchPlan, log: ModuleLog): Promise<ModuleProcess> {
  const child = spawn(plan.command, [...plan.args], {
    cwd: plan.cwd,
    env: { ...plan.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A process group of its own: Ctrl+C reaches the local edge alone, which then stops the modules in order.
    detached: true,
  });
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => log.write('stdout', chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => log.write('stderr', chunk));
  const pid = await spawned(child);
  const ended = exitCode(child).then((code) => {
    // With PID 1 of a container, everything in it ends.
    signalGroup(pid, 'SIGKILL');
    return code;
  });
  child.once('close', () => log.flush());
  return {
    pid,
    ended,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill(plan.stopSignal);
      const timer = setTimeout(() => signalGroup(pid, 'SIGKILL'), plan.stopTimeoutMs);
      await ended;
      clearTimeout(timer);
    },
  };
}

function spawned(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('spawn', () => resolve(child.pid ?? 0));
  });
}

function exitCode(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}
