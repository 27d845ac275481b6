import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

interface ProcessRecord {
  readonly pid: number;
  readonly startTime: string;
}

/**
 * Notes which processes were started, so that those that a crashed local edge left behind are found. A pid alone may belong to
 * somebody else by then; together with its start time it names one process.
 */
export class ProcessRecords {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }

  add(name: string, pid: number): void {
    const startTime = startTimeOf(pid);
    if (startTime === null) return;
    writeFileSync(this.#file(name), JSON.stringify({ pid, startTime } satisfies ProcessRecord), {
      mode: 0o600,
    });
  }

  remove(name: string): void {
    rmSync(this.#file(name), { force: true });
  }

  /** Ends what is left of an earlier run: SIGTERM, then SIGKILL, to each process and its group. Answers the names. */
  async reap(patienceMs = 3000): Promise<string[]> {
    const left: { name: string; record: ProcessRecord }[] = [];
    for (const file of readdirSync(this.#folder)) {
      if (!file.endsWith('.process.json')) continue;
      const record = readRecord(join(this.#folder, file));
      const name = file.slice(0, -'.process.json'.length);
      if (record !== null && startTimeOf(record.pid) === record.startTime) left.push({ name, record });
      this.remove(name);
    }
    for (const { record } of left) signalGroup(record.pid, 'SIGTERM');
    const deadline = Date.now() + patienceMs;
    const alive = () => left.filter(({ record }) => startTimeOf(record.pid) === record.startTime);
    while (alive().length > 0 && Date.now() < deadline) await sleep(20);
    for (const { record } of alive()) signalGroup(record.pid, 'SIGKILL');
    return left.map(({ name }) => name);
  }

  #file(name: string): string {
    return join(this.#folder, `${name}.process.json`);
  }
}

/** Sends a signal to a process group that we started; one that has ended is no mistake. */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && (error.code === 'ESRCH' || error.code === 'EPERM')))
      throw error;
  }
}

/** When a process was started, in the system's own words; null when there is none (a zombie has ended). */
export function startTimeOf(pid: number): string | null {
  if (process.platform === 'linux') {
    try {
      // The name in brackets may hold blanks; state and start time are fields 3 and 22.
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return fields[0] === 'Z' ? null : (fields[19] ?? null);
    } catch {
      return null;
    }
  }
  const result = spawnSync('ps', ['-o', 'lstart=,stat=', '-p', String(pid)], {
    encoding: 'utf8',
    env: { LC_ALL: 'C' },
  });
  const match = /^(.+?)\s+(\S+)$/.exec(result.stdout.trim());
  return match === null || match[2]?.startsWith('Z') === true ? null : (match[1] ?? null);
}

function readRecord(file: string): ProcessRecord | null {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (typeof value !== 'object' || value === null || !('pid' in value) || !('startTime' in value))
      return null;
    const { pid, startTime } = value;
    return typeof pid === 'number' && pid > 1 && typeof startTime === 'string' ? { pid, startTime } : null;
  } catch {
    return null;
  }
}
