import { copyFileSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

const projectRoot = fileURLToPath(new URL('../../', import.meta.url));

interface TemplateModule {
  [key: string]: unknown;
  env: Record<string, { value: unknown }>;
  settings: { image: string; createOptions: { [key: string]: unknown; HostConfig: Record<string, unknown> } };
}

/** The parts of the project's template that tests spoil. */
export interface Template {
  readonly all: Record<string, unknown>;
  readonly agent: Record<string, unknown>;
  readonly hub: Record<string, unknown>;
  readonly routes: Record<string, unknown>;
  readonly modules: Record<string, TemplateModule>;
  module(name: string): TemplateModule;
  host(name: string): Record<string, unknown>;
  /** Desired properties of a module. */
  twin(name: string): Record<string, unknown>;
}

/** A folder with the project's modules, its `.env.template` as `.env`, and a template that was changed. */
export function projectWith(t: TestContext, change: (template: Template) => void): string {
  return projectWithText(t, (text) => {
    const all = JSON.parse(text) as {
      modulesContent: Record<string, { 'properties.desired': Record<string, unknown> }>;
    };
    change(partsOf(all));
    return JSON.stringify(all, null, 2);
  });
}

export function projectWithText(t: TestContext, change: (text: string) => string): string {
  const folder = mkdtempSync(join(tmpdir(), 'project-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  symlinkSync(join(projectRoot, 'modules'), join(folder, 'modules'));
  copyFileSync(join(projectRoot, '.env.template'), join(folder, '.env'));
  for (const name of ['deployment.template.json', 'deployment.debug.template.json'])
    writeFileSync(join(folder, name), change(readFileSync(join(projectRoot, name), 'utf8')));
  return folder;
}

function partsOf(all: {
  modulesContent: Record<string, { 'properties.desired': Record<string, unknown> }>;
}): Template {
  const desired = (name: string): Record<string, unknown> =>
    all.modulesContent[name]?.['properties.desired'] ?? {};
  const agent = desired('$edgeAgent');
  const modules = agent['modules'] as Record<string, TemplateModule>;
  const module = (name: string): TemplateModule => {
    const found = modules[name];
    if (found === undefined) throw new Error(`the template has no module ${name}`);
    return found;
  };
  return {
    all: all.modulesContent,
    agent,
    hub: desired('$edgeHub'),
    routes: desired('$edgeHub')['routes'] as Record<string, unknown>,
    modules,
    module,
    host: (name) => module(name).settings.createOptions.HostConfig,
    twin: desired,
  };
}
