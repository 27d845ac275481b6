import { lstat, readdir, readlink, rm, symlink } from 'node:fs/promises';
import { delimiter, join, relative } from 'node:path';
import { lastLine, runCommand } from './command.ts';
import { isDebian, unpackPackages } from './debian-packages.ts';
import { findExecutable } from './find-executable.ts';

/** A Java that is new enough for Kafka's broker. */
export interface Java {
  readonly command: string;
  readonly env: Readonly<Record<string, string>>;
  readonly major: number;
}

const oldestMajor = 17;
const packages = { debianPackages: ['default-jre-headless'] };

/** Java from JAVA_HOME or PATH; null when there is none or none of 17 and above. */
export async function findJava(env: NodeJS.ProcessEnv): Promise<Java | null> {
  const home = env['JAVA_HOME'];
  const folders = [
    ...(home === undefined || home === '' ? [] : [join(home, 'bin')]),
    ...(env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== ''),
  ];
  const java = await findExecutable(['java'], folders);
  return java === null ? null : checked(java.path, env, {});
}

/**
 * On Debian and Ubuntu, the distribution's own Java, downloaded and unpacked into the cache without root; null elsewhere, or when it
 * is too old.
 */
export async function unpackJava(
  cache: string,
  env: NodeJS.ProcessEnv,
  say: (line: string) => void,
): Promise<Java | null> {
  if (!(await isDebian())) return null;
  const unpacked = await unpackPackages(packages, cache, say, relink);
  const machines = join(unpacked.root, 'usr/lib/jvm');
  for (const name of await readdir(machines).catch(() => [])) {
    const java = await findExecutable(['java'], [join(machines, name, 'bin')]);
    const found = java === null ? null : await checked(java.path, env, unpacked.env);
    if (found !== null) return found;
  }
  return null;
}

async function checked(
  command: string,
  env: NodeJS.ProcessEnv,
  more: Readonly<Record<string, string>>,
): Promise<Java | null> {
  const result = await runCommand(command, ['-version'], { env: { ...env, ...more }, timeoutMs: 60_000 });
  // Java 8 calls itself 1.8.
  const major = Number(/version "(?:1\.)?(\d+)/.exec(result.stderr)?.[1] ?? lastLine(result));
  return major >= oldestMajor ? { command, env: more, major } : null;
}

/** The packages keep Java's settings in /etc and link to them by absolute paths, which lead out of the folder of the unpacked ones. */
async function relink(root: string): Promise<void> {
  const machines = join(root, 'usr/lib/jvm');
  for (const name of await readdir(machines, { recursive: true }).catch(() => [])) {
    const file = join(machines, name);
    if (!(await lstat(file)).isSymbolicLink()) continue;
    const target = await readlink(file);
    if (!target.startsWith('/etc/java')) continue;
    await rm(file);
    await symlink(relative(join(file, '..'), join(root, target)), file);
  }
}
