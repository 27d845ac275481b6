import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface Usage {
  readonly peakRssMb: number;
  /** User and system time since the process started. */
  readonly cpuSeconds: number;
}

/** Linux counts processor time in ticks of 1/100 s on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;

/** What the operating system says of a process; undefined when there is none or the system does not tell. */
export function usageOf(pid: number | undefined): Usage | undefined {
  if (pid === undefined) return undefined;
  try {
    return process.platform === 'linux' ? fromProc(pid) : fromPs(pid);
  } catch {
    return undefined;
  }
}

/** The same of this process, by names that fit among a benchmark's figures. */
export function ownUsage(): { readonly rssMb: number; readonly cpuSeconds: number } {
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage();
  return { rssMb: maxRSS / 1024, cpuSeconds: (userCPUTime + systemCPUTime) / 1e6 };
}

function fromProc(pid: number): Usage {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The program's name stands in parentheses and may hold blanks: the fields are counted from behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  return {
    peakRssMb: Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) / 1024,
    cpuSeconds: ticks / TICKS_PER_SECOND,
  };
}

function fromPs(pid: number): Usage {
  const [rss = '', time = ''] = spawnSync('ps', ['-o', 'rss=,time=', '-p', String(pid)], { encoding: 'utf8' })
    .stdout.trim()
    .split(/\s+/);
  const seconds = time.split(':').reduce((sum, part) => sum * 60 + Number(part), 0);
  return { peakRssMb: Number(rss) / 1024, cpuSeconds: seconds };
}
