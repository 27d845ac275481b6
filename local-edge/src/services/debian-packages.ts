import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EdgeError } from '../errors.ts';
import { buildOnce } from './cache.ts';
import { lastLine, runCommand } from './command.ts';
import type { ServiceDescription } from './catalogue.ts';

export interface Unpacked {
  /** Folder that stands for the root of the file system. */
  readonly root: string;
  /** Folders that hold programs. */
  readonly folders: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

interface Download {
  readonly packageName: string;
  readonly bytes: number;
}

/** Whether this machine has the tools that download and unpack packages of its distribution. */
export async function isDebian(): Promise<boolean> {
  if (!existsSync('/usr/bin/apt-get') || !existsSync('/usr/bin/dpkg-deb')) return false;
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(release);
}

/**
 * Downloads the distribution's own packages and unpacks them into the cache. Installing them instead would need root and
 * start daemons on the standard ports. apt's lists and archives are private ones; the sources are the machine's. `finish` may put
 * right what the packages' own scripts would have done.
 */
export async function unpackPackages(
  service: Pick<ServiceDescription, 'debianPackages'>,
  cache: string,
  say: (line: string) => void,
  finish: (root: string) => Promise<void> = () => Promise.resolve(),
): Promise<Unpacked> {
  const release = await readFile('/etc/os-release', 'utf8');
  const id = /^ID="?([\w.-]+)/m.exec(release)?.[1] ?? 'debian';
  const version = /^VERSION_ID="?([\w.-]+)/m.exec(release)?.[1] ?? 'rolling';
  const target = join(cache, `${id}-${version}-${process.arch}`, service.debianPackages.join('+'));
  await buildOnce(target, async (folder) => {
    await download(service, folder, target, say);
    await finish(join(folder, 'root'));
  });
  const root = join(target, 'root');
  const libraries = await libraryFolders(root);
  return {
    root,
    folders: [join(root, 'usr/bin'), join(root, 'usr/sbin')].filter((folder) => existsSync(folder)),
    env: libraries.length === 0 ? {} : { LD_LIBRARY_PATH: libraries.join(':') },
  };
}

async function download(
  service: Pick<ServiceDescription, 'debianPackages'>,
  folder: string,
  target: string,
  say: (line: string) => void,
): Promise<void> {
  const apt = join(folder, 'apt');
  const debs = join(folder, 'debs');
  await mkdir(join(apt, 'lists/partial'), { recursive: true });
  await mkdir(join(apt, 'cache/archives/partial'), { recursive: true });
  await mkdir(debs);
  const options = [
    '-q',
    ['-o', `Dir::State::lists=${join(apt, 'lists')}`],
    ['-o', `Dir::Cache=${join(apt, 'cache')}`],
    ['-o', 'APT::Sandbox::User=root'],
    ['-o', 'Acquire::Languages=none'],
    ['-o', 'Acquire::http::Timeout=20'],
    ['-o', 'Acquire::https::Timeout=20'],
    ['-o', 'Acquire::Retries=2'],
    ...['DEP-11', 'DEP-11-icons', 'DEP-11-icons-small', 'Contents-deb', 'CNF'].map((index) => [
      '-o',
      `Acquire::IndexTargets::deb::${index}::DefaultEnabled=false`,
    ]),
  ].flat();
  const names = service.debianPackages.join(', ');
  say(`fetching the package lists of this machine's distribution for ${names} (about 10 MB) into ${target}`);
  await succeed('apt-get', [...options, 'update'], 'apt-get update');
  const wanted = await missingPackages(options, service.debianPackages);
  const megabytes = (wanted.reduce((sum, one) => sum + one.bytes, 0) / 1e6).toFixed(1);
  say(`fetching ${wanted.map((one) => one.packageName).join(', ')} (${megabytes} MB) into ${target}`);
  await succeed(
    'apt-get',
    [...options, 'download', ...wanted.map((one) => one.packageName)],
    'apt-get download',
    debs,
  );
  for (const deb of await readdir(debs)) {
    await succeed('dpkg-deb', ['-x', join(debs, deb), join(folder, 'root')], `unpacking ${deb}`);
  }
  await rm(apt, { recursive: true, force: true });
  await rm(debs, { recursive: true, force: true });
}

/** The packages and those of their dependencies that this machine lacks. */
async function missingPackages(options: readonly string[], packages: readonly string[]): Promise<Download[]> {
  const plan = await succeed(
    'apt-get',
    [...options, 'install', '--reinstall', '--print-uris', '-qq', '--no-install-recommends', ...packages],
    'apt-get install --print-uris',
  );
  return plan.split('\n').flatMap((line) => {
    const match = /^'[^']+' ([^_\s]+)_\S+ (\d+)/.exec(line);
    return match === null ? [] : [{ packageName: match[1] ?? '', bytes: Number(match[2]) }];
  });
}

async function succeed(
  command: string,
  args: readonly string[],
  what: string,
  cwd?: string,
): Promise<string> {
  const result = await runCommand(command, args, {
    timeoutMs: 300_000,
    env: { ...process.env, LC_ALL: 'C' },
    ...(cwd === undefined ? {} : { cwd }),
  });
  if (result.code !== 0) throw new EdgeError('SERVICE_MISSING', `${what} failed: ${lastLine(result)}`);
  return result.stdout;
}

async function libraryFolders(root: string): Promise<string[]> {
  const found: string[] = [];
  for (const base of ['lib', 'usr/lib']) {
    const names = await readdir(join(root, base)).catch(() => []);
    found.push(...names.filter((name) => name.includes('-linux-')).map((name) => join(root, base, name)));
  }
  return found;
}
