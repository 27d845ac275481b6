import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import { EdgeError } from '../../local-edge/src/errors.ts';
import { expandTemplate } from '../../local-edge/src/manifest/expand-template.ts';
import type { Finding } from '../../local-edge/src/manifest/finding.ts';
import type { ModuleImages } from '../../local-edge/src/manifest/module-images.ts';
import { readTemplate } from '../../local-edge/src/manifest/read-template.ts';
import type { EnvironmentValues } from '../../local-edge/src/manifest/template-sources.ts';
import { checkManifest } from './check-manifest.ts';
import { checkSchema } from './check-schema.ts';
import { withoutSecrets } from './check-secrets.ts';
import { error } from './content.ts';
import type { Content } from './content.ts';
import { buildsFromHere, readOwnModules } from './own-modules.ts';
import { selectModules } from './select-modules.ts';

export interface GenerateOptions {
  /** Folder of the templates and of `modules/`. */
  readonly root: string;
  readonly platform?: string;
  readonly isDebug?: boolean;
  readonly envPath?: string;
  /** Names of the modules to keep; all by default. */
  readonly modules?: readonly string[];
  /** The process environment; it wins over the `.env` file. */
  readonly env: EnvironmentValues;
}

export interface Generated {
  /** Text of the manifest, as it is written; undefined when the template cannot be expanded at all. */
  readonly text: string | undefined;
  /** Where it belongs, relative to the root: what iotedgedev and VS Code write. */
  readonly path: string;
  readonly findings: readonly Finding[];
}

/** Makes a deployment manifest of a template and checks it, without writing anything. Rejects with an EdgeError when a file is missing. */
export async function generateManifest(options: GenerateOptions): Promise<Generated> {
  const { root, isDebug = false } = options;
  const template = isDebug ? 'deployment.debug.template.json' : 'deployment.template.json';
  const templatePath = join(root, template);
  if (!existsSync(templatePath))
    throw new EdgeError(
      'INVALID_INPUT',
      `${templatePath} (the deployment template) does not exist. Name the folder that holds it with --root DIR.`,
    );
  const input = await readTemplate({
    templatePath,
    ...(options.envPath === undefined ? {} : { envPath: options.envPath }),
    ...(options.platform === undefined ? {} : { platform: options.platform }),
    env: options.env,
  });
  const expansion = expandTemplate({ ...input, templatePath: relative(root, input.templatePath) });
  const path = join('config', `deployment${isDebug ? '.debug' : ''}.${input.platform}.json`);
  const { findings } = expansion;
  if (expansion.content === undefined) return { text: undefined, path, findings };
  const selected =
    options.modules === undefined
      ? { content: expansion.content as Content, left: [] }
      : selectModules(expansion.content, options.modules);
  if ('unknown' in selected) {
    const problem = `--modules: the template has no module ${selected.unknown.join(', ')}; it has ${selected.known.join(', ')}.`;
    return { text: undefined, path, findings: [...findings, error(template, problem)] };
  }
  const more = checkManifest({
    content: selected.content,
    left: selected.left,
    own: await readOwnModules(root),
    images: {
      modules: expansion.modules,
      platform: input.platform,
      builds: ({ folder }: ModuleImages, dockerfile) => buildsFromHere(root, folder, dockerfile),
    },
  });
  const text = `${JSON.stringify({ modulesContent: selected.content }, null, 2)}\n`;
  const told = withoutSecrets(unique([...findings, ...more]));
  return { text, path, findings: [...told, ...checkSchema(selected.content, told)] };
}

/** Several checks may see the same. */
function unique(findings: readonly Finding[]): Finding[] {
  return [...new Map(findings.map((one) => [`${one.path}: ${one.problem}`, one])).values()];
}
