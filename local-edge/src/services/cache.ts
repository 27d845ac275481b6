import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EdgeError } from '../errors.ts';

/** The folder for what is fetched, shared by all checkouts of this user. */
export function cacheFolder(env: NodeJS.ProcessEnv): string {
  const base = env['XDG_CACHE_HOME'];
  return join(
    base?.startsWith('/') === true ? base : join(env['HOME'] ?? homedir(), '.cache'),
    'iotedge-redis',
  );
}

/**
 * Answers `target`, building it when it is not there: `build` fills a private folder which is then renamed, so that nobody
 * ever sees half of it. Only one process builds at a time; the others wait for its result.
 */
export async function buildOnce(target: string, build: (folder: string) => Promise<void>): Promise<string> {
  if (existsSync(target)) return target;
  await mkdir(dirname(target), { recursive: true, mode: 0o700 });
  const unlock = await lock(`${target}.lock`);
  const folder = `${target}.${randomUUID()}`;
  try {
    if (existsSync(target)) return target;
    await mkdir(folder, { mode: 0o700 });
    await build(folder);
    await rename(folder, target);
    return target;
  } finally {
    await rm(folder, { recursive: true, force: true });
    await unlock();
  }
}

const longestWaitMs = 600_000;

async function lock(file: string): Promise<() => Promise<void>> {
  const deadline = Date.now() + longestWaitMs;
  for (;;) {
    try {
      await writeFile(file, String(process.pid), { flag: 'wx' });
      return () => rm(file, { force: true });
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) {
        throw new EdgeError('SERVICE_MISSING', `The cache folder ${dirname(file)} cannot be written.`, {
          cause: error,
        });
      }
    }
    if (await isAbandoned(file)) await takeAway(file);
    else await sleep(100);
    if (Date.now() > deadline) {
      throw new EdgeError('SERVICE_MISSING', `Another process holds ${file} for too long; delete the file.`);
    }
  }
}

async function isAbandoned(file: string): Promise<boolean> {
  const text = await readFile(file, 'utf8').catch(() => null);
  if (text === null) return false;
  // An empty file belongs to a process between creating and writing it; it gets the time of one round.
  if (text === '') await sleep(1000);
  const pid = Number(text || (await readFile(file, 'utf8').catch(() => '')));
  if (!Number.isInteger(pid) || pid <= 0) return existsSync(file);
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ESRCH';
  }
}

/** Renaming first lets one of several waiting processes win, so that none deletes the lock of the next owner. */
async function takeAway(file: string): Promise<void> {
  const aside = `${file}.${randomUUID()}`;
  await rename(file, aside).catch(() => undefined);
  await rm(aside, { force: true });
}
