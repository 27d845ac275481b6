import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildOnce, cacheFolder } from '../../local-edge/src/services/cache.ts';
import { lastLine, runCommand } from '../../local-edge/src/services/command.ts';
import { isDebian } from '../../local-edge/src/services/debian-packages.ts';

/** How to start a program, and what goes into its environment. */
export interface ServerProgram {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/**
 * The Redis or Valkey of another suite of Debian than this machine's: downloaded with apt's own tools, unpacked, and run by the loader
 * and the libraries among the packages. Nothing is installed. Where the first suite lacks a library, it comes from the next ones.
 */
export async function redisOfDebian(
  suites: readonly string[],
  name: 'redis' | 'valkey',
): Promise<ServerProgram> {
  if (!(await isDebian())) throw new Error('not a Debian or Ubuntu machine');
  const target = join(
    cacheFolder(process.env),
    `debian-${suites.join('+')}-${process.arch}`,
    `${name}-server`,
  );
  await buildOnce(target, (folder) => download(suites, name, folder));
  const root = join(target, 'root');
  const files = await readdir(root, { recursive: true });
  const loader = files.find((file) => /(^|\/)ld-linux-[^/]*\.so\.\d+$/.test(file));
  if (loader === undefined) throw new Error('the packages hold no loader');
  const libraries = new Set(
    files.filter((file) => /\.so(\.\d+)*$/.test(file)).map((file) => join(root, file, '..')),
  );
  return {
    command: join(root, loader),
    args: ['--library-path', [...libraries].join(':'), join(root, 'usr/bin', `${name}-server`)],
    env: {},
  };
}

async function download(suites: readonly string[], name: string, folder: string): Promise<void> {
  const apt = join(folder, 'apt');
  for (const part of ['lists/partial', 'cache/archives/partial'])
    await mkdir(join(apt, part), { recursive: true });
  const mirror = await debianMirror();
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
  const lines = suites.map((suite) => `deb [signed-by=${keyring}] ${mirror} ${suite} main\n`);
  await writeFile(join(apt, 'sources.list'), lines.join(''));
  const options = [
    `Dir::Etc::sourcelist=${join(apt, 'sources.list')}`,
    'Dir::Etc::sourceparts=-',
    `Dir::State::lists=${join(apt, 'lists')}`,
    // As on a machine that has nothing, so that every library comes along.
    'Dir::State::status=/dev/null',
    `Dir::Cache=${join(apt, 'cache')}`,
    'APT::Sandbox::User=root',
    'Acquire::Languages=none',
    'Acquire::Retries=2',
  ].flatMap((option) => ['-o', option]);
  const get = (...args: string[]): Promise<string> =>
    succeed('apt-get', ['-qq', ...options, '-t', suites[0] ?? '', ...args], apt);
  process.stderr.write(`fetching ${name}-server of Debian ${suites.join(' and ')} (about 50 MB)\n`);
  await get('update');
  const plan = await get(
    'install',
    '--print-uris',
    '--no-install-recommends',
    `${name}-server`,
    `${name}-tools`,
  );
  const names = [...plan.matchAll(/^'[^']+' ([^_\s]+)_/gm)].map(([, found = '']) => found);
  await get('download', ...names.filter((found) => found.startsWith(`${name}-`) || found.startsWith('lib')));
  for (const file of await readdir(apt))
    if (file.endsWith('.deb')) await succeed('dpkg-deb', ['-x', join(apt, file), join(folder, 'root')], apt);
  await rm(apt, { recursive: true, force: true });
}

/** Where this machine fetches its own packages from, when that is Debian's archive. */
async function debianMirror(): Promise<string> {
  const folder = '/etc/apt/sources.list.d';
  const names = (await readdir(folder).catch(() => [])).map((name) => join(folder, name));
  for (const file of [...names, '/etc/apt/sources.list']) {
    const text = await readFile(file, 'utf8').catch(() => '');
    const match = /^(?:URIs:|deb(?: \[[^\]]*\])?) *(\S*debian\/?)(?:\s|$)/m.exec(text);
    if (match?.[1] !== undefined) return match[1];
  }
  throw new Error("this machine's package sources name no Debian archive");
}

async function succeed(command: string, args: readonly string[], cwd: string): Promise<string> {
  const result = await runCommand(command, args, {
    cwd,
    timeoutMs: 300_000,
    env: { ...process.env, LC_ALL: 'C' },
  });
  if (result.code !== 0) throw new Error(`${command} failed: ${lastLine(result)}`);
  return result.stdout;
}
