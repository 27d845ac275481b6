/**
 * `npm run images -- [--platform NAME]… [--push] [--dry-run] [--build-arg NAME=VALUE]… [MODULE…]`: builds the images with docker
 * buildx, named by each module.json and .env as `${MODULES.<name>}` in a deployment template is.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { readModuleImages } from '../local-edge/src/manifest/module-images.ts';
import { readTemplate } from '../local-edge/src/manifest/read-template.ts';
import { imageCommands, printed } from './image-commands.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

function fail(sentence: string, code = 1): never {
  console.error(`images: ${sentence}`);
  process.exit(code);
}

/** Address of the repository without a user's name or password in it; empty when there is none. */
function sourceAddress(): string {
  const address = git('config', '--get', 'remote.origin.url');
  return /^https?:/.test(address) ? address.replace(/\/\/[^/@]*@/, '//') : '';
}

function git(...words: string[]): string {
  const { status, stdout } = spawnSync('git', words, { cwd: root, encoding: 'utf8' });
  return status === 0 ? stdout.trim() : '';
}

async function readModules() {
  const env = ['.env', '.env.template'].find((name) => existsSync(join(root, name)));
  const input = await readTemplate({
    templatePath: join(root, 'deployment.template.json'),
    ...(env === undefined ? {} : { envPath: join(root, env) }),
    env: process.env,
  });
  const modules = input.modules.map((source) => {
    const images = readModuleImages(source, input.env);
    if ('problem' in images) fail(`${images.path}: ${images.problem}`);
    const { image } = JSON.parse(readFileSync(source.path, 'utf8')) as { image: { buildOptions?: string[] } };
    return { ...images, buildOptions: image.buildOptions ?? [] };
  });
  return { modules, env: input.env, platform: input.platform };
}

function readArguments() {
  try {
    return parseArgs({
      options: {
        platform: { type: 'string', multiple: true },
        push: { type: 'boolean', default: false },
        'dry-run': { type: 'boolean', default: false },
        'build-arg': { type: 'string', multiple: true, default: [] },
      },
      allowPositionals: true,
    });
  } catch (error) {
    return fail(
      `${error instanceof Error ? error.message : String(error)}\nusage: npm run images -- [--platform NAME|all]… [--push] [--dry-run] [--build-arg NAME=VALUE]… [MODULE…]`,
      2,
    );
  }
}

const { values, positionals } = readArguments();
const { modules, env, platform } = await readModules();
let commands;
try {
  commands = imageCommands(root, modules, {
    platforms: values.platform ?? [platform],
    modules: positionals,
    push: values.push,
    containerTag: env['CONTAINER_TAG'],
    revision: git('rev-parse', 'HEAD'),
    source: sourceAddress(),
    extra: values['build-arg'].flatMap((one) => ['--build-arg', one]),
  });
} catch (error) {
  fail(error instanceof Error ? error.message : String(error), 2);
}
if (values['dry-run']) {
  for (const command of commands) console.log(printed(command));
  process.exit(0);
}
const version = spawnSync('docker', ['buildx', 'version'], { encoding: 'utf8' });
if (version.error !== undefined)
  fail(
    'there is no program docker on the PATH. Install Docker Engine with buildx; --dry-run prints the commands.',
  );
if (version.status !== 0)
  fail('docker has no buildx. Install the package docker-buildx-plugin; --dry-run prints the commands.');
if (spawnSync('docker', ['version'], { stdio: 'ignore' }).status !== 0)
  fail('the Docker daemon does not answer. Start it, or set DOCKER_HOST; --dry-run prints the commands.');
for (const command of commands) {
  console.log(`\n${printed(command)}`);
  const { status } = spawnSync('docker', command.args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) fail(`building ${command.image} failed with exit code ${status}`);
}
console.log(`\n${commands.map(({ image }) => image).join('\n')}`);
