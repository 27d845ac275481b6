import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { ExecCommand } from '../control/control-api.ts';
import { EdgeError } from '../errors.ts';

/** Runs a command on the terminal of this process; answers its exit code, 128 and the number for a signal. */
export function runCommand({ words, env, cwd }: ExecCommand): Promise<number> {
  const [command = '', ...args] = words;
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: { TERM: process.env['TERM'], ...env }, stdio: 'inherit' });
    child.once('error', (error) =>
      reject(new EdgeError('NOT_FOUND', `running ${command}: ${error.message}`)),
    );
    child.once('close', (code, signal) =>
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
    );
  });
}
