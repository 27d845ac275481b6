import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Agent } from './agent/agent.ts';
import { repositoryOf } from './agent/image-name.ts';
import { containersOf, findEngine, gatewayOf } from './container-support.ts';
import { ModuleLog } from './agent/module-log.ts';
import { ProcessRunner } from './agent/process-runner.ts';
import { findRequiredServers } from './agent/required-servers.ts';
import type { RestartTimes } from './agent/restart-policy.ts';
import type { PortWishes } from './choose-ports.ts';
import type { RuntimeControl } from './control/control-api.ts';
import { createControlServer } from './control/control-server.ts';
import { applyOnce, readDeployment } from './deployment-file.ts';
import type { Deployment } from './deployment-file.ts';
import { openDevice } from './device.ts';
import type { Device } from './device.ts';
import { EdgeError } from './errors.ts';
import type { HubFacts } from './hub-facts.ts';
import type { HubCore } from './hub/hub.ts';
import type { NetworkTable } from './net/net-table.ts';
import { waitUntilReady } from './ready.ts';
import { startSampleKafka } from './sample-kafka.ts';
import type { SampleKafka } from './sample-kafka.ts';
import { closeSampleSite } from './sample-site.ts';
import { startSampleStorage } from './sample-storage.ts';
import { writeStateFile } from './state-file.ts';
import { lockState } from './state-lock.ts';
import { systemLog } from './system-log.ts';

/** `edgeHubPort` and `servicePort`: the port that must be taken, 0 for any free one; else the standard ones, when they are free. */
export interface LocalEdgeOptions extends PortWishes {
  /** The deployment template; null starts without a deployment, as a new device does. */
  readonly templatePath: string | null;
  readonly envPath?: string;
  readonly platform?: string;
  readonly stateDir: string;
  readonly deviceId?: string;
  /** Whether to try 443 as well. True by default. */
  readonly https?: boolean;
  /** False: no module is started; they are started by hand. */
  readonly agent?: boolean;
  /** Whether modules run as containers of this machine's engine (DOCKER_HOST) instead of processes. False by default. */
  readonly docker?: boolean;
  /** Whether to start an Azurite with a sample file where nobody configured redis-sync, with a second site where nobody configured
   * redis-snapshot, and a Kafka with sample records where nobody configured kafka-ingest and it is on this machine. False by default. */
  readonly sample?: boolean;
  /** Whether to fetch Apache Kafka for the sample when it is not on this machine. False by default. */
  readonly fetchKafka?: boolean;
  readonly restartTimes?: Partial<RestartTimes>;
  /** How often the engine is asked for the health of a container. */
  readonly containerHealthPollMs?: number;
  readonly env?: NodeJS.ProcessEnv;
  /** Lines for the one who started it. */
  readonly say?: (line: string) => void;
  /** How long to wait for the modules of this checkout to be ready. */
  readonly readyTimeoutMs?: number;
}

/** An IoT Edge device and its IoT Hub in this process, with the modules of a deployment as its children. */
export class LocalEdge implements RuntimeControl {
  readonly #options: LocalEdgeOptions;
  readonly #stops: (() => void | Promise<void>)[] = [];
  readonly #aborted = new AbortController();
  readonly #stopRequested = Promise.withResolvers<undefined>();
  #parts: { readonly device: Device; readonly agent: Agent } | null = null;
  #sampleKafka: SampleKafka | undefined;
  #state: 'closed' | 'starting' | 'running' | 'closing' = 'closed';
  #started: Promise<void> = Promise.resolve();

  constructor(options: LocalEdgeOptions) {
    this.#options = { ...options, stateDir: resolve(options.stateDir) };
  }

  /** Resolves when somebody asks it to stop (`edge stop`). */
  get stopRequested(): Promise<unknown> {
    return this.#stopRequested.promise;
  }

  get facts(): HubFacts {
    return this.#running().device.facts;
  }

  get hub(): HubCore {
    return this.#running().device.hub;
  }

  get table(): NetworkTable {
    return this.#running().device.table;
  }

  /** What became of the sample records for kafka-ingest; undefined when it needs none. */
  get sampleKafka(): SampleKafka['kind'] | undefined {
    return this.#sampleKafka?.kind;
  }

  get agent(): Agent {
    return this.#running().agent;
  }

  /** Resolves when everything listens, every module has been started, and those of this checkout are ready. */
  async start(): Promise<void> {
    if (this.#state !== 'closed') throw new EdgeError('INTERNAL', `The local edge is ${this.#state}.`);
    this.#state = 'starting';
    this.#started = this.#start();
    try {
      await this.#started;
      this.#state = 'running';
    } catch (error) {
      await this.#close();
      throw error;
    }
  }

  /** Asks the one who started it to stop it. */
  stop(): void {
    this.#stopRequested.resolve(undefined);
  }

  /** Stops the modules, the last started first, then everything else. Idempotent. A start under way ends with an error. */
  async shutDown(): Promise<void> {
    if (this.#state === 'starting') {
      this.#aborted.abort();
      await this.#started.catch(() => undefined);
    } else if (this.#state === 'running') await this.#close();
  }

  async moduleEnv(name: string): Promise<Readonly<Record<string, string>>> {
    if (!/^[A-Za-z0-9_-]{1,128}$/.test(name)) {
      throw new EdgeError(
        'INVALID_INPUT',
        `"${name}" is no name of a module: use ASCII letters, digits, "_" and "-".`,
      );
    }
    return this.#running().device.environmentByHand(name);
  }

  async #start(): Promise<void> {
    const { stateDir, env = process.env, say = () => undefined } = this.#options;
    // A mistake in the template is told before anything is touched.
    const deployment = await this.#readDeployment(env);
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
    chmodSync(stateDir, 0o700);
    this.#stops.push(lockState(join(stateDir, 'lock')));
    const logs = {
      edgeAgent: new ModuleLog(join(stateDir, 'logs', 'edgeAgent.log')),
      edgeHub: new ModuleLog(join(stateDir, 'logs', 'edgeHub.log')),
    };
    const agentLog = systemLog(logs.edgeAgent, say, ['info', 'warn', 'error']);
    for (const remark of deployment?.remarks ?? []) agentLog('info', remark);
    const engine = this.#options.docker === true ? await findEngine(env) : undefined;
    if (engine !== undefined) agentLog('info', `modules run as containers of ${engine.name}`);
    const device = await openDevice(
      {
        ...this.#options,
        deviceId: this.#options.deviceId ?? 'local-edge',
        https: this.#options.https ?? true,
        log: systemLog(logs.edgeHub, say, ['error']),
        ...(engine === undefined ? {} : { gateway: gatewayOf(engine) }),
        say,
      },
      (stop) => this.#stops.push(stop),
    );
    const { hub, table, facts } = device;
    const injected = (moduleId: string) => device.environmentOf(moduleId);
    const checkout = deployment?.checkout ?? [];
    const runner =
      engine === undefined
        ? new ProcessRunner({ stateDir, table, checkout, env, find: { env, say }, injected })
        : await containersOf(engine, {
            stateDir,
            edgeHubPort: facts.edgeHubPort,
            injected,
            ...(this.#options.containerHealthPollMs === undefined
              ? {}
              : { healthPollMs: this.#options.containerHealthPollMs }),
          });
    const agent = new Agent({
      hub,
      table,
      stateDir,
      runner,
      forget: (moduleId) => device.forget(moduleId),
      log: agentLog,
      systemLogs: logs,
      ...(this.#options.restartTimes === undefined ? {} : { times: this.#options.restartTimes }),
    });
    this.#parts = { device, agent };
    const control = createControlServer({ path: facts.controlSocket, hub, agent, runtime: this });
    await control.start();
    this.#stops.push(() => control.stop());
    if (deployment !== null) await applyOnce(hub, deployment.manifest, join(stateDir, 'manifest.json'));
    this.#throwIfAborted();
    if (this.#options.agent !== false) {
      closeSampleSite(hub);
      // A missing server ends the start with a sentence; one that goes missing later is looked for again and again.
      const desired = hub.twins.get('$edgeAgent')?.desired.properties ?? {};
      if (engine === undefined) await findRequiredServers(desired, { env, say });
      this.#throwIfAborted();
      // Ends after the module that reads from it.
      this.#stops.push(() => this.#sampleKafka?.stop());
      this.#stops.push(() => agent.stop());
      await agent.start();
      const isSampled = this.#options.sample === true && engine === undefined;
      if (isSampled) {
        const isAsked = this.#options.fetchKafka === true;
        this.#sampleKafka = await startSampleKafka({ hub, stateDir, env, isAsked, say });
      }
      const sample = isSampled ? startSampleStorage(hub, env, say) : undefined;
      if (sample !== undefined) this.#stops.push(() => sample.stop());
      if (engine === undefined) await this.#waitForModules(agent, table, deployment);
    }
    writeStateFile(join(stateDir, 'hub.json'), facts);
    this.#stops.push(() => rmSync(join(stateDir, 'hub.json'), { force: true }));
  }

  async #readDeployment(env: NodeJS.ProcessEnv): Promise<Deployment | null> {
    const { templatePath, envPath, platform } = this.#options;
    if (templatePath === null) return null;
    return readDeployment({
      templatePath,
      env,
      ...(envPath === undefined ? {} : { envPath }),
      ...(platform === undefined ? {} : { platform }),
    });
  }

  async #waitForModules(agent: Agent, table: NetworkTable, deployment: Deployment | null): Promise<void> {
    const ours = new Set(deployment?.checkout.map((one) => one.repository));
    const names = agent.list().flatMap((one) => (ours.has(repositoryOf(one.image)) ? [one.name] : []));
    const timeoutMs = this.#options.readyTimeoutMs ?? 60_000;
    const late = await waitUntilReady({ agent, table, names, timeoutMs, signal: this.#aborted.signal });
    this.#throwIfAborted();
    for (const name of late) this.#options.say?.(`${name} is not ready; "npx edge logs ${name}" says more`);
  }

  async #close(): Promise<void> {
    this.#state = 'closing';
    this.#aborted.abort();
    const failures: unknown[] = [];
    for (const stop of this.#stops.splice(0).reverse()) {
      try {
        await stop();
      } catch (error) {
        failures.push(error);
      }
    }
    this.#parts = null;
    this.#state = 'closed';
    if (failures.length > 0) throw new AggregateError(failures, 'stopping the local edge');
  }

  #throwIfAborted(): void {
    if (this.#aborted.signal.aborted)
      throw new EdgeError('REFUSED', 'The local edge was stopped while it started.');
  }

  #running() {
    if (this.#parts === null) throw new EdgeError('NOT_RUNNING', 'The local edge is not running.');
    return this.#parts;
  }
}
