import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { CheckoutModule } from './agent/checkout-module.ts';
import { EdgeError } from './errors.ts';
import type { ConfigurationContent, Hub } from './hub/hub-api.ts';
import type { EnvironmentValues } from './manifest/template-sources.ts';
import { expandTemplate } from './manifest/expand-template.ts';
import { describeFindings } from './manifest/finding.ts';
import { readTemplate } from './manifest/read-template.ts';
import { readStateFile, writeStateFile } from './state-file.ts';

export interface Deployment {
  readonly manifest: ConfigurationContent;
  /** The modules with a module.json beside the template, which run from their sources. */
  readonly checkout: readonly CheckoutModule[];
  /** What its author should know, though it can be used. */
  readonly remarks: readonly string[];
}

/**
 * Reads and expands a deployment template. Without a `.env` beside it `.env.template` serves, so that a fresh clone starts.
 * Throws with every mistake at once.
 */
export async function readDeployment(options: {
  readonly templatePath: string;
  readonly envPath?: string;
  readonly platform?: string;
  readonly env: EnvironmentValues;
}): Promise<Deployment> {
  const root = dirname(resolve(options.templatePath));
  const remarks: string[] = [];
  let envPath = options.envPath;
  if (envPath === undefined && !existsSync(join(root, '.env')) && existsSync(join(root, '.env.template'))) {
    envPath = join(root, '.env.template');
    remarks.push('there is no .env, so .env.template is used');
  }
  const input = await readTemplate({ ...options, ...(envPath === undefined ? {} : { envPath }) });
  const { manifest, findings, modules } = expandTemplate(input);
  if (manifest === undefined) {
    throw new EdgeError(
      'INVALID_CONFIGURATION',
      `${input.templatePath} cannot be used:\n${describeFindings(findings)}`,
    );
  }
  if (findings.length > 0) remarks.push(describeFindings(findings));
  const checkout = modules.map((module) => ({
    name: module.folder.split('/').at(-1) ?? module.name,
    folder: resolve(root, module.folder),
    repository: module.repository,
    dockerfiles: Object.fromEntries(
      Object.entries(module.platforms).map(([platform, file]) => [
        platform,
        resolve(root, module.folder, file),
      ]),
    ),
  }));
  return { manifest, checkout, remarks };
}

/** The same deployment again leaves the twins as they were edited; a changed one is applied. `file` holds the last one. */
export async function applyOnce(hub: Hub, manifest: ConfigurationContent, file: string): Promise<void> {
  if (JSON.stringify(readStateFile(file)) === JSON.stringify(manifest)) return;
  await hub.applyConfiguration(manifest);
  writeStateFile(file, manifest);
}
