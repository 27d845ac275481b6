import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { startTimeOf } from './agent/process-records.ts';
import { EdgeError } from './errors.ts';

/** Makes sure that one local edge works on a state folder; the lock of one that died does not count. Answers the release. */
export function lockState(file: string): () => void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const mine = `${process.pid} ${startTimeOf(process.pid) ?? ''}`;
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      writeFileSync(file, mine, { flag: 'wx', mode: 0o600 });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
    const [pid = '', ...startTime] = readFileSync(file, 'utf8').split(' ');
    if (startTimeOf(Number(pid)) === startTime.join(' ')) {
      throw new EdgeError(
        'REFUSED',
        `A local edge (process ${pid}) already works on ${dirname(file)}. Stop it with "npx edge stop" or Ctrl+C in its terminal, ` +
          'or give this one a folder of its own with --state DIR.',
      );
    }
    rmSync(file, { force: true });
  }
  throw new EdgeError('STATE_INVALID', `${file} cannot be taken. Delete it.`);
}
