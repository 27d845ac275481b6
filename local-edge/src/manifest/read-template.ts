import { isUtf8 } from 'node:buffer';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { EdgeError } from '../errors.ts';
import { readDotenv } from './dotenv.ts';
import type { TemplateInput } from './expand-template.ts';
import type { Finding } from './finding.ts';
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
  const remarks: Finding[] = [];
  if (options.envPath !== undefined || existsSync(envPath)) {
    const text = await readText(envPath, 'the environment file', 'Name another with --env FILE.');
    const { values, unread } = readDotenv(text, env);
    env = { ...values, ...env };
    remarks.push(...unread.map((line) => unreadLine(relative(root, envPath), line)));
  }
  const modules = await readModules(root, templateText);
  for (const { folder, dotenvText = '' } of modules)
    remarks.push(...readDotenv(dotenvText).unread.map((line) => unreadLine(join(folder, '.env'), line)));
  return {
    templateText,
    templatePath,
    env,
    modules,
    platform: options.platform ?? platformOf(env),
    remarks,
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
      ...(existsSync(dotenv)
        ? { dotenvText: await readText(dotenv, 'the environment file of a module', 'Make it readable.') }
        : {}),
    });
  }
  return sources;
}

/** The tools leave such a line out, too. */
function unreadLine(file: string, line: number): Finding {
  const problem = 'this line is no NAME=VALUE, or its quotes do not fit, so it sets nothing.';
  return { severity: 'warning', path: `${file}:${line}`, problem };
}

async function readText(path: string, what: string, advice: string): Promise<string> {
  const bytes = await readBytes(path, what, advice);
  const wrong = (encoding: string): EdgeError =>
    new EdgeError('INVALID_INPUT', `${path} (${what}) is ${encoding}. Save it as UTF-8.`);
  // Text in UTF-16 is full of zero bytes, also where it has no mark at its begin.
  if (/^(?:\xff\xfe|\xfe\xff)/.test(bytes.toString('latin1', 0, 2)) || bytes.includes(0))
    throw wrong('UTF-16, not UTF-8');
  if (!isUtf8(bytes)) throw wrong('not UTF-8');
  return bytes.toString('utf8');
}

async function readBytes(path: string, what: string, advice: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    const reason =
      cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
        ? 'does not exist'
        : 'cannot be read';
    throw new EdgeError('INVALID_INPUT', `${path} (${what}) ${reason}. ${advice}`, { cause });
  }
}
