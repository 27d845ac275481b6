import { chmodSync } from 'node:fs';
import type { DesiredModule } from '../agent/desired-modules.ts';
import type { ModuleLog } from '../agent/module-log.ts';
import type { ModuleRun, ModuleRunner } from '../agent/module-runner.ts';
import { EdgeError } from '../errors.ts';
import { entriesOf, isRecord } from '../manifest/record.ts';
import { containerRequest, stateLabel, stopSeconds } from './container-request.ts';
import { followContainer, stopContainer } from './container-run.ts';
import { EngineError } from './engine-client.ts';
import { ensureImage } from './engine-images.ts';
import { networkName } from './engine.ts';
import type { Engine } from './engine.ts';

export interface ContainerRunnerOptions {
  readonly engine: Engine;
  readonly stateDir: string;
  readonly edgeHubPort: number;
  /** What edgeAgent injects into a module. */
  readonly injected: (moduleId: string) => Promise<Readonly<Record<string, string>>>;
  readonly healthPollMs?: number;
}

/** Seconds that what an earlier run left gets to end: as much as Docker gives. */
const leftoverSeconds = 10;

/** Modules as containers of this machine's engine, each under its own name, as on a device. */
export class ContainerRunner implements ModuleRunner {
  readonly #options: ContainerRunnerOptions;
  /** Module → id of its container. */
  readonly #containers = new Map<string, string>();

  constructor(options: ContainerRunnerOptions) {
    this.#options = options;
  }

  async clean(): Promise<readonly string[]> {
    const { engine, stateDir } = this.#options;
    const query = { all: '1', filters: JSON.stringify({ label: [`${stateLabel}=${stateDir}`] }) };
    const left = await engine.client.call('GET', '/containers/json', { query });
    const found = entriesOf(left).filter(isRecord);
    await Promise.all(
      found.map(async ({ Id: id }) => {
        await stopContainer(engine.client, String(id), leftoverSeconds);
        await this.#remove(String(id));
      }),
    );
    return found.map(({ Names: names }) => `${nameOf(names)}: removed the container of an earlier run`);
  }

  async start(module: DesiredModule, output: ModuleLog): Promise<ModuleRun> {
    const { engine, healthPollMs = 5000 } = this.#options;
    const known = this.#containers.get(module.name);
    const id = known !== undefined && (await this.#begin(known)) ? known : await this.#createAndBegin(module);
    return followContainer({
      client: engine.client,
      id,
      output,
      stopSeconds: stopSeconds(module),
      notes: [`container ${id.slice(0, 12)} of ${module.image}`],
      healthPollMs,
    });
  }

  async discard(name: string): Promise<void> {
    const id = this.#containers.get(name);
    this.#containers.delete(name);
    if (id !== undefined) await this.#remove(id);
  }

  async close(): Promise<readonly string[]> {
    const names = [...this.#containers.keys()];
    const done = await Promise.allSettled(names.map((name) => this.discard(name)));
    return names.flatMap((name, index) =>
      done[index]?.status === 'rejected'
        ? [`${name}: its container could not be removed; the next start does it`]
        : [],
    );
  }

  async #createAndBegin(module: DesiredModule): Promise<string> {
    const { engine, stateDir, edgeHubPort } = this.#options;
    await ensureImage(engine.client, module.image, module.echo['imagePullPolicy'] !== 'never');
    const injected = await this.#options.injected(module.name);
    const socket = injected['IOTEDGE_WORKLOADURI']?.replace(/^unix:\/\//, '');
    // The user in the container is not the one who runs the local edge; the folder of the socket keeps everybody else out.
    if (socket !== undefined) chmodSync(socket, 0o666);
    const body = containerRequest(module, {
      stateDir,
      network: networkName,
      gateway: engine.gateway,
      edgeHubPort,
      injected,
    });
    const id = await this.#create(module.name, body);
    this.#containers.set(module.name, id);
    if (await this.#begin(id)) return id;
    throw new EdgeError('NOT_FOUND', `The container of ${module.name} was removed before it was started.`);
  }

  async #create(name: string, body: unknown): Promise<string> {
    const { client } = this.#options.engine;
    try {
      const answer = await client.call('POST', '/containers/create', { query: { name }, body });
      return String(isRecord(answer) ? answer['Id'] : '');
    } catch (error) {
      if (!(error instanceof EngineError) || error.status !== 409) throw error;
      throw new EdgeError('REFUSED', await this.#describeConflict(name), { cause: error });
    }
  }

  /** Whether it could be started; false when it is gone. */
  async #begin(id: string): Promise<boolean> {
    try {
      await this.#options.engine.client.call('POST', `/containers/${id}/start`);
      return true;
    } catch (error) {
      if (error instanceof EngineError && error.status === 404 && /no such container/i.test(error.message))
        return false;
      throw error;
    }
  }

  async #describeConflict(name: string): Promise<string> {
    const facts = await this.#options.engine.client
      .call('GET', `/containers/${name}/json`)
      .catch(() => undefined);
    const config = isRecord(facts) ? facts['Config'] : undefined;
    const labels = isRecord(config) ? config['Labels'] : undefined;
    const owner = isRecord(labels) ? labels[stateLabel] : undefined;
    return typeof owner === 'string'
      ? `A container called ${name} belongs to the local edge in ${owner}: stop that one first (edge stop), or start it once more and stop it.`
      : `A container called ${name} is there already, and the local edge did not make it: remove it (docker rm -f ${name}) or give it another name (docker rename).`;
  }

  async #remove(id: string): Promise<void> {
    try {
      const query = { force: '1', v: '1' };
      await this.#options.engine.client.call('DELETE', `/containers/${id}`, { query });
    } catch (error) {
      // Gone already, or about to be.
      if (!(error instanceof EngineError && (error.status === 404 || error.status === 409))) throw error;
    }
  }
}

function nameOf(names: unknown): string {
  const first: unknown = Array.isArray(names) ? names[0] : undefined;
  return typeof first === 'string' ? first.replace(/^\//, '') : 'a container';
}
