import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildOnce, cacheFolder } from '../../local-edge/src/services/cache.ts';
import { lastLine, runCommand } from '../../local-edge/src/services/command.ts';
import { isDebian } from '../../local-edge/src/services/debian-packages.ts';
import { findProgram } from '../../local-edge/src/services/find-server.ts';

export interface RedisProgram {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** Suites of Debian that have newer servers than its releases; the second one has the libraries that the first needs. */
const SUITES = ['experimental', 'sid'];

/**
 * The newest Redis that can be had here: the program that TEST_NEWEST_REDIS names, else the one of Debian's experimental suite,
 * which runs with its own C library, else what is found as for any test. Tests ask the server what it can and hold on every one.
 */
export async function findNewestRedis(): Promise<RedisProgram> {
  const named = process.env['TEST_NEWEST_REDIS'];
  if (named !== undefined && named !== '') return { command: named, args: [], env: {} };
  const command = (await isDebian()) ? await unpacked().catch(complain) : undefined;
  return command === undefined ? findProgram('redis') : { command, args: [], env: {} };
}

function complain(error: unknown): undefined {
  console.error(`no newer Redis: ${error instanceof Error ? error.message : String(error)}`);
}

async function unpacked(): Promise<string> {
  const target = join(cacheFolder(process.env), `debian-${SUITES.join('+')}-${process.arch}`, 'redis-server');
  await buildOnce(target, (folder) => download(folder, target));
  return join(target, 'redis-server');
}

async function download(folder: string, target: string): Promise<void> {
  const apt = join(folder, 'apt');
  for (const part of ['lists/partial', 'cache/archives/partial'])
    await mkdir(join(apt, part), { recursive: true });
  const mirror = await debianMirror();
  const keys = '/usr/share/keyrings/debian-archive-keyring.gpg';
  const lines = SUITES.map((suite) => `deb [signed-by=${keys}] ${mirror} ${suite} main\n`);
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
    'Acquire::http::Timeout=20',
    'Acquire::https::Timeout=20',
  ].flatMap((option) => ['-o', option]);
  const get = (...args: string[]): Promise<string> =>
    succeed('apt-get', ['-qq', ...options, '-t', SUITES[0] ?? '', ...args], apt);
  console.error('fetching the newest Redis (about 60 MB) of Debian');
  await get('update');
  const plan = await get('install', '--print-uris', '--no-install-recommends', 'redis-server', 'redis-tools');
  const names = [...plan.matchAll(/^'[^']+' ([^_\s]+)_/gm)].map(([, name = '']) => name);
  await get('download', ...names.filter((name) => /^(?:redis-|lib)/.test(name)));
  const root = join(folder, 'root');
  for (const file of await readdir(apt))
    if (file.endsWith('.deb')) await succeed('dpkg-deb', ['-x', join(apt, file), root], apt);
  await rm(apt, { recursive: true, force: true });
  const files = await readdir(root, { recursive: true });
  const loader = files.find((file) => /\/ld-linux-[^/]*\.so\.\d+$/.test(file)) ?? '';
  const libraries = files.filter((file) => /lib\/[^/]*-linux-gnu[^/]*$/.test(file));
  const at = (path: string): string => `"${join(target, 'root', path)}"`;
  const path = libraries.map((library) => join(target, 'root', library)).join(':');
  const wrapper = join(folder, 'redis-server');
  await writeFile(
    wrapper,
    `#!/bin/sh\nexec ${at(loader)} --library-path "${path}" ${at('usr/bin/redis-server')} "$@"\n`,
  );
  await chmod(wrapper, 0o755);
}

async function debianMirror(): Promise<string> {
  const folder = '/etc/apt/sources.list.d';
  const names = await readdir(folder).catch(() => []);
  const texts = await Promise.all(
    ['/etc/apt/sources.list', ...names.map((name) => join(folder, name))].map((file) =>
      readFile(file, 'utf8').catch(() => ''),
    ),
  );
  const mirror = /^(?:URIs: *|deb (?:\[[^\]]*\] )?)(\S+debian\/?)(?:\s|$)/m.exec(texts.join('\n'))?.[1];
  if (mirror === undefined) throw new Error('no mirror of Debian is configured');
  return mirror;
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
