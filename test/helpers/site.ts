import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { LocalEdge } from '../../local-edge/src/runtime.ts';
import type { LocalEdgeOptions } from '../../local-edge/src/runtime.ts';
import { onEnd } from './cleanup.ts';

/** One module of a test deployment; `source` makes it a module of the site's own checkout. */
export interface SiteModule {
  readonly source?: string;
  /** Image of a module without source. */
  readonly image?: string;
  readonly status?: 'running' | 'stopped';
  readonly restartPolicy?: string;
  readonly startupOrder?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly createOptions?: Readonly<Record<string, unknown>>;
}

/** A folder with a deployment template and modules, as a user of the local edge has one. */
export interface Site {
  readonly dir: string;
  readonly stateDir: string;
  readonly templatePath: string;
  /** Lines that the local edge said. */
  readonly said: string[];
  /** Writes the template anew. */
  deploy(modules: Readonly<Record<string, SiteModule>>, twins?: Readonly<Record<string, unknown>>): void;
  start(options?: Partial<LocalEdgeOptions>): Promise<LocalEdge>;
}

export function makeSite(t: TestContext, modules: Readonly<Record<string, SiteModule>>): Site {
  const dir = mkdtempSync(join(tmpdir(), 'site-'));
  const edges: LocalEdge[] = [];
  onEnd(t, async () => {
    for (const edge of edges) await edge.shutDown();
    rmSync(dir, { recursive: true, force: true });
  });
  const site: Site = {
    dir,
    stateDir: join(dir, '.edge'),
    templatePath: join(dir, 'deployment.template.json'),
    said: [],
    deploy(next, twins = {}) {
      for (const [name, { source }] of Object.entries(next))
        if (source !== undefined) writeModule(dir, name, source);
      writeFileSync(site.templatePath, JSON.stringify(template(next, twins), null, 2));
    },
    async start(options = {}) {
      const edge = new LocalEdge({
        templatePath: site.templatePath,
        stateDir: site.stateDir,
        edgeHubPort: 0,
        servicePort: 0,
        https: false,
        readyTimeoutMs: 0,
        platform: 'amd64',
        say: (line) => void site.said.push(line),
        ...options,
      });
      edges.push(edge);
      await edge.start();
      return edge;
    },
  };
  site.deploy(modules);
  return site;
}

/** Waits for something to become true; fails with the last thing seen when it does not. */
export async function eventually<T>(
  look: () => T | Promise<T>,
  holds: (value: T) => boolean,
  ms = 10_000,
): Promise<T> {
  const deadline = Date.now() + ms;
  for (;;) {
    const value = await look();
    if (holds(value)) return value;
    if (Date.now() > deadline) throw new Error(`not so after ${ms} ms: ${JSON.stringify(value)}`);
    await sleep(10);
  }
}

/** The lines of a module's log. */
export async function logOf(edge: LocalEdge, name: string): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of edge.agent.logs(name, { follow: false, signal: new AbortController().signal }))
    lines.push(line);
  return lines;
}

function template(
  modules: Readonly<Record<string, SiteModule>>,
  twins: Readonly<Record<string, unknown>>,
): unknown {
  return {
    '$schema-template': '3.0.0',
    modulesContent: {
      $edgeAgent: {
        'properties.desired': {
          schemaVersion: '1.1',
          runtime: { type: 'docker', settings: {} },
          systemModules: {
            edgeAgent: { type: 'docker', settings: { image: 'agent:1' } },
            edgeHub: {
              type: 'docker',
              status: 'running',
              restartPolicy: 'always',
              settings: { image: 'hub:1' },
            },
          },
          modules: Object.fromEntries(
            Object.entries(modules).map(([name, module]) => [name, moduleOf(name, module)]),
          ),
        },
      },
      $edgeHub: {
        'properties.desired': {
          schemaVersion: '1.1',
          routes: {},
          storeAndForwardConfiguration: { timeToLiveSecs: 60 },
        },
      },
      ...Object.fromEntries(
        Object.entries(twins).map(([name, desired]) => [name, { 'properties.desired': desired }]),
      ),
    },
  };
}

function moduleOf(name: string, module: SiteModule): unknown {
  const { status = 'running', restartPolicy = 'always', startupOrder, env = {}, createOptions = {} } = module;
  return {
    type: 'docker',
    status,
    restartPolicy,
    ...(startupOrder === undefined ? {} : { startupOrder }),
    env: Object.fromEntries(Object.entries(env).map(([key, value]) => [key, { value }])),
    settings: { image: module.image ?? `\${MODULES.${name}}`, createOptions },
  };
}

function writeModule(dir: string, name: string, source: string): void {
  const folder = join(dir, 'modules', name);
  mkdirSync(join(folder, 'src'), { recursive: true });
  const platforms = { amd64: './Dockerfile.amd64', 'amd64.debug': './Dockerfile.amd64.debug' };
  const image = { repository: `site/${name}`, tag: { version: '1.0', platforms } };
  writeFileSync(join(folder, 'module.json'), JSON.stringify({ image }));
  writeFileSync(join(folder, 'src', 'main.ts'), source);
}
