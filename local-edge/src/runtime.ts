import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Agent } from './agent/agent.ts';
import { wellKnownService } from './agent/image-name.ts';
import { injectedEnvironment } from './agent/launch-plan.ts';
import { ModuleLog } from './agent/module-log.ts';
import type { RestartTimes } from './agent/restart-policy.ts';
import { createCertificates } from './certificates.ts';
import type { RuntimeControl } from './control/control-api.ts';
import { createControlServer } from './control/control-server.ts';
import { readDeployment } from './deployment-file.ts';
import type { Deployment } from './deployment-file.ts';
import { createEdgeHub } from './edgehub/edge-hub.ts';
import type { EdgeLogLevel } from './edge-log.ts';
import { EdgeError } from './errors.ts';
import { createHub } from './hub/hub.ts';
import type { HubCore } from './hub/hub.ts';
import { openNetworkTable, preloadUrl } from './net/net-table.ts';
import type { NetworkTable } from './net/net-table.ts';
import { isFree } from './net/free-port.ts';
import { waitUntilReady } from './ready.ts';
import { createServiceApi } from './service-api/service-api.ts';
import { readStateFile, writeStateFile } from './state-file.ts';
import { lockState } from './state-lock.ts';
import { systemLog } from './system-log.ts';
import { openSocketFolder } from './workload/socket-folder.ts';
import { createWorkloadApi } from './workload/workload-api.ts';
import type { WorkloadApi } from './workload/workload-api.ts';

const standardPorts = { edgeHub: 8883, service: 8443, https: 443 };
const host = '127.0.0.1';
const hostName = 'localhost';

export interface LocalEdgeOptions {
  /** The deployment template; null starts without a deployment, as a new device does. */
  readonly templatePath: string | null;
  readonly envPath?: string;
  readonly platform?: string;
  readonly stateDir: string;
  readonly deviceId?: string;
  /** Ports that must be the ones given (0 = any free one); when absent the standard ones, or free ones where they are taken. */
  readonly edgeHubPort?: number;
  readonly servicePort?: number;
  /** Whether to try 443 for the service API and for method calls between modules. */
  readonly https?: boolean;
  /** Without the agent no module is started: they are started by hand. */
  readonly agent?: boolean;
  readonly restartTimes?: Partial<RestartTimes>;
  readonly env?: NodeJS.ProcessEnv;
  /** Lines for the one who started it. */
  readonly say?: (line: string) => void;
  /** How long to wait for the modules of this checkout to be ready. */
  readonly readyTimeoutMs?: number;
}

/** What a running local edge is reached by; also the content of `hub.json`. */
export interface HubFacts {
  readonly hostName: string;
  readonly port: number;
  readonly deviceId: string;
  readonly gatewayHostName: string;
  readonly edgeHubPort: number;
  readonly httpsPort: number | null;
  readonly serviceConnectionString: string;
  readonly serviceConnectionStringWithPort: string;
  readonly caFile: string;
  readonly controlSocket: string;
  readonly pid: number;
}

/** An IoT Edge device and its IoT Hub in this process, with the modules of a deployment as its children. */
export class LocalEdge implements RuntimeControl {
  readonly #options: LocalEdgeOptions;
  readonly #stops: (() => void | Promise<void>)[] = [];
  readonly #aborted = new AbortController();
  readonly #stopRequested = Promise.withResolvers<undefined>();
  #parts: { hub: HubCore; agent: Agent; table: NetworkTable; workload: WorkloadApi; facts: HubFacts } | null =
    null;
  #state: 'closed' | 'starting' | 'running' | 'closing' = 'closed';

  constructor(options: LocalEdgeOptions) {
    this.#options = options;
  }

  /** Resolves when somebody asks it to stop (`edge stop`). */
  get stopRequested(): Promise<unknown> {
    return this.#stopRequested.promise;
  }

  get facts(): HubFacts {
    return this.#running().facts;
  }

  get hub(): HubCore {
    return this.#running().hub;
  }

  get agent(): Agent {
    return this.#running().agent;
  }

  get table(): NetworkTable {
    return this.#running().table;
  }

  /** Resolves when everything listens, every module has been started, and those of this checkout are ready. */
  async start(): Promise<void> {
    if (this.#state !== 'closed') throw new EdgeError('INTERNAL', `The local edge is ${this.#state}.`);
    this.#state = 'starting';
    try {
      await this.#start();
      this.#state = 'running';
    } catch (error) {
      await this.shutDown();
      throw error;
    }
  }

  /** Asks the one who started it to stop it. */
  stop(): void {
    this.#stopRequested.resolve(undefined);
  }

  /** Stops the modules, the last started first, then everything else. Idempotent. */
  async shutDown(): Promise<void> {
    if (this.#state === 'closing' || this.#state === 'closed') return;
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

  async moduleEnv(name: string): Promise<Readonly<Record<string, string>>> {
    const { hub, workload, table, facts } = this.#running();
    if (!/^[A-Za-z0-9_-]{1,128}$/.test(name)) {
      throw new EdgeError(
        'INVALID_INPUT',
        `"${name}" is no name of a module: use ASCII letters, digits, "_" and "-".`,
      );
    }
    hub.identities.add(name, { managedBy: null });
    const gateway =
      facts.edgeHubPort === standardPorts.edgeHub ? hostName : `${hostName}:${facts.edgeHubPort}`;
    // Lets a Node program reach the other modules by name; programs in other languages are not changed by it.
    return {
      ...(await injected(hub, workload, name, gateway)),
      NODE_OPTIONS: `--import=${preloadUrl(table.file)}`,
    };
  }

  async #start(): Promise<void> {
    const { stateDir, env = process.env } = this.#options;
    // A mistake in the template or a taken port is told before anything is touched.
    const deployment = await this.#readDeployment(env);
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
    chmodSync(stateDir, 0o700);
    this.#stops.push(lockState(join(stateDir, 'lock')));
    const ports = await this.#choosePorts();
    const logs = {
      edgeAgent: new ModuleLog(join(stateDir, 'logs', 'edgeAgent.log')),
      edgeHub: new ModuleLog(join(stateDir, 'logs', 'edgeHub.log')),
    };
    const show = (levels: readonly EdgeLogLevel[], log: ModuleLog) =>
      systemLog(log, (line) => this.#say(line), levels);
    const agentLog = show(['info', 'warn', 'error'], logs.edgeAgent);
    const hubLog = show(['error'], logs.edgeHub);
    for (const remark of deployment?.remarks ?? []) agentLog('info', remark);

    const certificates = await createCertificates(stateDir);
    const hub = createHub({
      stateDir,
      deviceId: this.#options.deviceId ?? 'local-edge',
      hostName,
      gatewayHostName: hostName,
      log: hubLog,
    });
    const edgeHub = createEdgeHub({ hub, certificates, port: ports.edgeHub, host });
    await edgeHub.start();
    this.#stops.push(() => edgeHub.stop());
    const workload = createWorkloadApi({ hub, certificates });
    this.#stops.push(() => workload.stop());
    // Modules that are started by hand find their socket again after a restart.
    for (const { moduleId } of hub.identities.list())
      if (!moduleId.startsWith('$')) await workload.listen(moduleId);

    const policyKey = readPolicyKey(join(stateDir, 'service-key.json'));
    const service = createServiceApi({
      hub,
      policyKey,
      certificates: { key: certificates.serverKeyPem, cert: certificates.serverCertPem },
      port: ports.service,
      host,
      stateDir,
      edgeHubHandler: (request, response) => edgeHub.handleRequest(request, response),
      edgeHubUpgrade: (request, socket, head) => void edgeHub.handleUpgrade(request, socket, head),
      log: hubLog,
    });
    await service.start();
    this.#stops.push(() => service.stop());
    const httpsBound = this.#options.https !== false && (await service.listenAlso(standardPorts.https));

    const table = openNetworkTable(join(stateDir, 'net.json'));
    for (const name of [hostName, 'edgeHub']) {
      if (name !== hostName || edgeHub.port !== standardPorts.edgeHub)
        table.set(name, standardPorts.edgeHub, edgeHub.port);
      if (name !== hostName || !httpsBound) table.set(name, standardPorts.https, service.port);
    }
    const agent = new Agent({
      hub,
      table,
      stateDir,
      checkout: deployment?.checkout ?? [],
      env,
      find: { env, say: (line) => this.#say(line) },
      injected: (moduleId) => injected(hub, workload, moduleId, hostName),
      forget: (moduleId) => workload.close(moduleId),
      log: agentLog,
      systemLogs: logs,
      ...(this.#options.restartTimes === undefined ? {} : { times: this.#options.restartTimes }),
    });
    const facts = makeFacts({
      deviceId: hub.deviceId,
      port: service.port,
      edgeHubPort: edgeHub.port,
      httpsPort: httpsBound ? standardPorts.https : null,
      policyKey,
      caFile: certificates.caFile,
      controlSocket: join(openSocketFolder(stateDir), 'control.sock'),
    });
    this.#parts = { hub, agent, table, workload, facts };
    const control = createControlServer({ path: facts.controlSocket, hub, agent, runtime: this });
    await control.start();
    this.#stops.push(() => control.stop());

    if (deployment !== null) await applyOnce(hub, deployment, join(stateDir, 'manifest.json'));
    if (this.#options.agent !== false) {
      this.#stops.push(() => agent.stop());
      await agent.start();
      await this.#waitForModules(agent, table, deployment);
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

  async #choosePorts(): Promise<{ edgeHub: number; service: number }> {
    const choose = async (asked: number | undefined, standard: number, what: string, flag: string) => {
      if (asked !== undefined && asked !== 0 && !(await isFree(asked))) {
        throw new EdgeError(
          'PORT_IN_USE',
          `Port ${asked} for ${what} is in use. Free it, or give another with ${flag}.`,
        );
      }
      if (asked !== undefined) return asked;
      if (await isFree(standard)) return standard;
      this.#say(`port ${standard} for ${what} is in use; a free one is taken`);
      return 0;
    };
    return {
      edgeHub: await choose(
        this.#options.edgeHubPort,
        standardPorts.edgeHub,
        'edgeHub (MQTT)',
        '--edge-hub-port',
      ),
      service: await choose(
        this.#options.servicePort,
        standardPorts.service,
        'the IoT Hub service API',
        '--port',
      ),
    };
  }

  async #waitForModules(agent: Agent, table: NetworkTable, deployment: Deployment | null): Promise<void> {
    const repositories = new Set(deployment?.checkout.map((one) => one.repository));
    const names = agent
      .list()
      .filter(
        (one) =>
          one.name !== 'edgeAgent' && one.name !== 'edgeHub' && wellKnownService(one.image) === undefined,
      )
      .filter((one) => [...repositories].some((repository) => one.image.startsWith(`${repository}:`)))
      .map((one) => one.name);
    const timeoutMs = this.#options.readyTimeoutMs ?? 60_000;
    const late = await waitUntilReady({ agent, table, names, timeoutMs, signal: this.#aborted.signal });
    if (this.#aborted.signal.aborted)
      throw new EdgeError('REFUSED', 'The local edge was stopped while it started.');
    for (const name of late) this.#say(`${name} is not ready yet; "npx edge logs ${name}" says more`);
  }

  #running() {
    if (this.#parts === null) throw new EdgeError('NOT_RUNNING', 'The local edge is not running.');
    return this.#parts;
  }

  #say(line: string): void {
    (this.#options.say ?? (() => undefined))(line);
  }
}

async function injected(hub: HubCore, workload: WorkloadApi, moduleId: string, gatewayHostName: string) {
  const identity = hub.identities.get(moduleId);
  if (identity === undefined) throw new EdgeError('NOT_FOUND', `There is no identity ${moduleId}.`);
  const path = await workload.listen(moduleId);
  return injectedEnvironment({
    deviceId: hub.deviceId,
    moduleId,
    generationId: identity.generationId,
    hostName: hub.hostName,
    gatewayHostName,
    workloadUri: `unix://${path}`,
  });
}

/** The same template again leaves the twins as they were edited; a changed one is a new deployment. */
async function applyOnce(hub: HubCore, deployment: Deployment, file: string): Promise<void> {
  if (JSON.stringify(readStateFile(file)) === JSON.stringify(deployment.manifest)) return;
  await hub.applyConfiguration(deployment.manifest);
  writeStateFile(file, deployment.manifest);
}

function readPolicyKey(file: string): string {
  const stored = readStateFile(file);
  if (
    typeof stored === 'object' &&
    stored !== null &&
    'iothubowner' in stored &&
    typeof stored.iothubowner === 'string'
  ) {
    return stored.iothubowner;
  }
  const key = randomBytes(32).toString('base64');
  writeStateFile(file, { iothubowner: key });
  return key;
}

function makeFacts(
  parts: Pick<HubFacts, 'deviceId' | 'port' | 'edgeHubPort' | 'httpsPort' | 'caFile' | 'controlSocket'> & {
    readonly policyKey: string;
  },
): HubFacts {
  const { policyKey, ...facts } = parts;
  const key = `SharedAccessKeyName=iothubowner;SharedAccessKey=${policyKey}`;
  return {
    hostName,
    gatewayHostName: hostName,
    ...facts,
    serviceConnectionString: `HostName=${hostName};${key}`,
    serviceConnectionStringWithPort: `HostName=${hostName}:${facts.port};${key}`,
    pid: process.pid,
  };
}
