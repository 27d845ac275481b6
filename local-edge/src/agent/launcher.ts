import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { EdgeError } from '../errors.ts';
import { preloadUrl } from '../net/net-table.ts';
import type { NetworkTable } from '../net/net-table.ts';
import { findServer } from '../services/find-server.ts';
import type { FindOptions } from '../services/find-server.ts';
import { checkoutCommand, dockerfileOf } from './checkout-module.ts';
import type { CheckoutModule } from './checkout-module.ts';
import { readContainerOptions } from './container-options.ts';
import type { ContainerOptions } from './container-options.ts';
import type { DesiredModule } from './desired-modules.ts';
import { mapPaths, prepareFolders } from './folder-map.ts';
import { planCheck } from './health-check.ts';
import { planExec } from './planned-exec.ts';
import { imageDefaults, withImageDefaults } from './image-defaults.ts';
import { repositoryOf, tagOf, wellKnownImages, wellKnownService } from './image-name.ts';
import { inheritedEnvironment, mergeEnvironment } from './launch-plan.ts';
import type { LaunchPlan } from './launch-plan.ts';
import type { ForeignServer } from './module-runner.ts';
import { launchServer } from './server-program.ts';
import { workingFolder } from './surroundings.ts';
import type { Surroundings } from './surroundings.ts';

export interface LauncherOptions {
  readonly stateDir: string;
  readonly table: NetworkTable;
  readonly checkout: readonly CheckoutModule[];
  readonly env: NodeJS.ProcessEnv;
  readonly find: FindOptions;
  /** What edgeAgent injects into a module. */
  readonly injected: (moduleId: string) => Promise<Readonly<Record<string, string>>>;
}

/** Works out how a module of the deployment becomes a process. Refuses by name what cannot be one. */
export class Launcher {
  readonly #options: LauncherOptions;

  constructor(options: LauncherOptions) {
    this.#options = options;
  }

  async plan(module: DesiredModule): Promise<LaunchPlan | ForeignServer> {
    const checkout = this.#options.checkout.find((one) => one.repository === repositoryOf(module.image));
    const image = imageDefaults(checkout && dockerfileOf(checkout, tagOf(module.image)));
    const options = readContainerOptions(withImageDefaults(module.createOptions, image));
    if ('refused' in options) {
      throw new EdgeError('NOT_EMULATED', `createOptions of ${module.name}: ${options.refused.join('; ')}.`);
    }
    const service = wellKnownService(module.image);
    const surroundings = await this.#surround(module, options);
    if (checkout !== undefined) return this.#planCheckout(checkout, surroundings, image.env);
    if (service !== undefined) {
      const found = await findServer(service, this.#options.find);
      return launchServer(found, surroundings, this.#options.table);
    }
    const known = [...this.#options.checkout.map((one) => one.repository), ...wellKnownImages].join(', ');
    throw new EdgeError(
      'NOT_EMULATED',
      `The image ${module.image} of ${module.name} is none that the local edge can run as a process (${known}). ` +
        `Start the program by hand in the environment that "npx edge module-env ${module.name}" prints.`,
    );
  }

  /** Forgets what belongs to a module alone, as removing its container does. Named volumes stay. */
  discard(name: string): void {
    rmSync(this.#folderOf(name), { recursive: true, force: true });
  }

  /** What volumes in memory held is gone after a restart of the machine. */
  clearMemory(): void {
    rmSync(this.#memoryVolumes(), { recursive: true, force: true });
  }

  #folderOf(name: string): string {
    return join(this.#options.stateDir, 'run', name);
  }

  #memoryVolumes(): string {
    // No module can have a name with a dot.
    return join(this.#options.stateDir, 'run', '.volumes');
  }

  async #surround(module: DesiredModule, options: ContainerOptions): Promise<Surroundings> {
    const { stateDir, env } = this.#options;
    const own = this.#folderOf(module.name);
    mkdirSync(own, { recursive: true, mode: 0o700 });
    const memoryVolumes = this.#memoryVolumes();
    const folders = prepareFolders(options.mounts, {
      volumes: join(stateDir, 'volumes'),
      memoryVolumes,
      own,
    });
    const map = (text: string) => mapPaths(text, folders);
    const mapAll = (values: Readonly<Record<string, string>>) =>
      Object.fromEntries(Object.entries(values).map(([name, value]) => [name, map(value)]));
    const nodeFolder = join(own, 'node');
    linkNode(nodeFolder);
    const merged = mergeEnvironment({
      base: {
        ...inheritedEnvironment(env),
        PATH: [nodeFolder, env['PATH'] ?? '/usr/bin:/bin'].join(delimiter),
      },
      manifest: mapAll(module.env),
      injected: await this.#options.injected(module.name),
      options: mapAll(options.env),
    });
    return { module, options, own, folders, env: merged, map };
  }

  #planCheckout(
    checkout: CheckoutModule,
    surroundings: Surroundings,
    imageEnv: Readonly<Record<string, string>>,
  ): LaunchPlan {
    const { module, options, map } = surroundings;
    const words = [...(options.entrypoint ?? []), ...(options.cmd ?? [])].map(map);
    const preload = preloadUrl(this.#options.table.file, { name: module.name, hostPorts: options.hostPorts });
    const inspector = options.hostPorts.get(9229) ?? 0;
    const flags = tagOf(module.image).endsWith('.debug') ? [`--inspect=127.0.0.1:${inspector}`] : [];
    const env = {
      ...imageEnv,
      NODE_COMPILE_CACHE: join(this.#options.stateDir, 'compile-cache'),
      ...surroundings.env,
    };
    const cwd = workingFolder(surroundings);
    const exec = planExec(surroundings, this.#options.table, {
      ...env,
      NODE_OPTIONS: `--import=${preloadUrl(this.#options.table.file, { name: module.name, hostPorts: new Map() })}`,
    });
    return {
      command: process.execPath,
      args: checkoutCommand(checkout, words.length === 0 ? null : words, preload, flags),
      env,
      cwd,
      stopSignal: options.stopSignal,
      stopTimeoutMs: options.stopTimeoutMs,
      healthcheck: planCheck(options, exec),
      exec,
      notes: [`runs from ${checkout.folder}`],
      without: options.without,
      registersPorts: true,
    };
  }
}

// Commands of createOptions that say `node` mean the Node of the image: the one that runs the local edge.
function linkNode(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const link = join(folder, 'node');
  rmSync(link, { force: true });
  symlinkSync(process.execPath, link);
}
