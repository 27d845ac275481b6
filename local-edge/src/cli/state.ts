import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

import { EdgeError } from '../errors.ts';
import type { HubFacts } from '../hub-facts.ts';

const HOW_TO_START = 'start it with `npx edge start` in the folder of its deployment.template.json';

function nearestState(cwd: string): string {
  for (let folder = cwd; ; folder = dirname(folder)) {
    const candidate = join(folder, '.edge');
    if (existsSync(candidate)) return candidate;
    if (dirname(folder) === folder) break;
  }
  throw new EdgeError(
    'NOT_RUNNING',
    `the local edge is not running here: there is no .edge folder in ${cwd} or above; ${HOW_TO_START}, ` +
      'or name its state folder with --state DIR',
  );
}

/** The state folder: `--state`, else `EDGE_STATE`, else the nearest `.edge` from here upwards. */
export function findStateDir(
  given: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
  cwd: string,
): string {
  const named = given ?? env['EDGE_STATE'];
  return named === undefined || named === '' ? nearestState(cwd) : resolve(cwd, named);
}

/** Whether a process of that id runs. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Somebody else's process: it is there, though it may not be asked.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** Reads `hub.json` of a local edge that runs; everything else is an error that says what to do. */
export function readHubFacts(stateDir: string): HubFacts {
  const file = join(stateDir, 'hub.json');
  let hub: HubFacts;
  try {
    hub = JSON.parse(readFileSync(file, 'utf8')) as HubFacts;
  } catch (error) {
    if (error instanceof SyntaxError) {
      throw new EdgeError(
        'STATE_INVALID',
        `${file} is not JSON; restart the local edge to have it written anew`,
      );
    }
    throw new EdgeError('NOT_RUNNING', `the local edge is not running: there is no ${file}; ${HOW_TO_START}`);
  }
  if (!isAlive(hub.pid)) throw notRunningAnyMore(file);
  return hub;
}

export function notRunningAnyMore(file: string): EdgeError {
  return new EdgeError('NOT_RUNNING', `the local edge of ${file} is not running any more; ${HOW_TO_START}`);
}
