import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { EdgeError } from '../errors.ts';
import { parseDotenv } from './dotenv.ts';
import type { TemplateInput } from './expand-template.ts';
import type { EnvironmentValues, ModuleSource } from './template-sources.ts';

export interface ReadOptions {
  readonly templatePath: string;
  /** The `.env` file; the one beside the template when absent. A file named here must exist. */
  readonly envPath?: string;
  readonly platform?: string;
  /** The process environment; it wins over the `.env` file, as with the tools. */
  readonly env: EnvironmentValues;
}

/** Reads what `expandTemplate` needs: the template, `.env`, and every module.json below `modules/` or named by MODULEDIR. */
export async function readTemplate(options: ReadOptions): Promise<TemplateInput> {
  const templatePath = resolve(options.templatePath);
  const root = dirname(templatePath);
  const templateText = await readText(
    templatePath,
    'the deployment template',
    'Name another with --template FILE.',
  );
  const envPath = resolve(options.envPath ?? join(root, '.env'));
  let env = options.env;
  if (options.envPath !== undefined || existsSync(envPath)) {
    const text = await readText(envPath, 'the environment file', 'Name another with --env FILE.');
    env = { ...parseDotenv(text, env), ...env };
  }
  return {
    templateText,
    templatePath,
    env,
    modules: await readModules(root, templateText),
    platform: options.platform ?? platformOf(env),
  };
}

/** The platform that DEFAULT_PLATFORM names, or the name that IoT Edge tooling has for the processor of this machine. */
function platformOf({ DEFAULT_PLATFORM: given }: EnvironmentValues): string {
  if (given !== undefined && given !== '') return given;
  return { arm64: 'arm64v8', arm: 'arm32v7' }[process.arch as string] ?? 'amd64';
}

async function readModules(root: string, templateText: string): Promise<ModuleSource[]> {
  const parent = join(root, 'modules');
  const names = existsSync(parent) ? await readdir(parent) : [];
  const named = [...templateText.matchAll(/\$\{MODULEDIR<([^>]+)>/g)].map((match) =>
    resolve(root, match[1] ?? ''),
  );
  const folders = new Set([...names.sort().map((name) => join(parent, name)), ...named]);
  const sources: ModuleSource[] = [];
  for (const folder of folders) {
    const path = join(folder, 'module.json');
    if (!existsSync(path)) continue;
    const dotenv = join(folder, '.env');
    sources.push({
      name: folder.split('/').at(-1) ?? folder,
      folder: relative(root, folder),
      path,
      moduleJsonText: await readText(path, 'the module description', 'Make it readable.'),
      ...(existsSync(dotenv) ? { dotenvText: await readFile(dotenv, 'utf8') } : {}),
    });
  }
  return sources;
}

async function readText(path: string, what: string, advice: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const reason =
      cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
        ? 'does not exist'
        : 'cannot be read';
    throw new EdgeError('INVALID_INPUT', `${path} (${what}) ${reason}. ${advice}`, { cause });
  }
}
