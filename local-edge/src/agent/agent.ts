import { join } from 'node:path';
import type { AgentControl, ExecCommand, LogsOptions, ModuleStatus } from '../control/control-api.ts';
import type { EdgeLog } from '../edge-log.ts';
import { EdgeError } from '../errors.ts';
import type { Hub } from '../hub/hub-api.ts';
import { ownValue } from '../manifest/record.ts';
import type { NetworkTable } from '../net/net-table.ts';
import { answerAgentMethod } from './agent-methods.ts';
import { AgentReporter } from './agent-report.ts';
import { describeAge } from './describe-age.ts';
import { readDesired } from './desired-modules.ts';
import type { Desired, DesiredModule } from './desired-modules.ts';
import { ModuleLog } from './module-log.ts';
import type { ModuleRunner } from './module-runner.ts';
import { ModuleSupervisor } from './module-supervisor.ts';
import { edgeAgentTimes } from './restart-policy.ts';
import type { RestartTimes } from './restart-policy.ts';

export interface AgentOptions {
  readonly stateDir: string;
  readonly runner: ModuleRunner;
  readonly hub: Hub;
  readonly table: NetworkTable;
  readonly log: EdgeLog;
  /** Logs of the parts that are no processes: `edgeAgent` and `edgeHub`. */
  readonly systemLogs: Readonly<Record<string, ModuleLog>>;
  readonly times?: Partial<RestartTimes>;
  /** Called when a module has left the deployment for good. */
  readonly forget?: (moduleId: string) => Promise<void>;
}

/** The edgeAgent: makes the modules on this machine what `$edgeAgent` desires, and says how they are. */
export class Agent implements AgentControl {
  readonly #options: AgentOptions;
  readonly #times: RestartTimes;
  readonly #reporter: AgentReporter;
  readonly #supervisors = new Map<string, ModuleSupervisor>();
  readonly #startedAt = new Date();
  #desired: Desired = readDesired({});
  #desiredVersion = 0;
  #round: Promise<void> = Promise.resolve();
  #reportTimer: NodeJS.Timeout | null = null;
  #stopListening: (() => void) | null = null;
  #stopping = false;

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#times = { ...edgeAgentTimes, ...options.times };
    this.#reporter = new AgentReporter(options.hub.twins);
  }

  /** Ends what an earlier run left behind, follows `$edgeAgent` from now on, and attempts a first start of every module. */
  async start(): Promise<void> {
    const { hub, log, runner } = this.#options;
    for (const line of await runner.clean()) log('warn', line);
    hub.methods.handle('$edgeAgent', (name, payload) => answerAgentMethod(this.#methodHost(), name, payload));
    this.#stopListening = hub.twins.onDesired((moduleId) => {
      if (moduleId !== '$edgeAgent' && moduleId !== '$edgeHub') return;
      this.#reconcile().catch((error: unknown) =>
        log('error', `following the deployment failed: ${String(error)}`),
      );
    });
    await this.#reconcile();
  }

  /** Stops every module, the last started first. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#stopListening?.();
    await this.#round;
    const modules = [...this.#supervisors.values()];
    for (const group of groupsByOrder(modules.map((one) => one.module)).reverse()) {
      await Promise.all(group.map(async (module) => this.#supervisors.get(module.name)?.stop()));
    }
    for (const line of await this.#options.runner.close()) this.#options.log('warn', line);
    if (this.#reportTimer !== null) clearTimeout(this.#reportTimer);
    this.#report();
  }

  list(): ModuleStatus[] {
    const since = this.#startedAt;
    const system = (name: 'edgeAgent' | 'edgeHub'): ModuleStatus => ({
      name,
      status: 'running',
      description: `Up ${describeAge(Date.now() - since.getTime())}`,
      image: this.#desired.images[name],
      restartCount: 0,
      exitCode: null,
      startedAt: since.toISOString(),
      pid: process.pid,
    });
    return [
      system('edgeAgent'),
      system('edgeHub'),
      ...[...this.#supervisors.values()].map((one) => one.status()),
    ];
  }

  async restart(name: string): Promise<void> {
    await this.#supervisor(name, 'stop it and start it again with npm start').restart();
  }

  exec(name: string, words: readonly string[]): ExecCommand {
    return this.#supervisor(name, 'there is no process to look into').exec(words);
  }

  #supervisor(name: string, instead: string): ModuleSupervisor {
    const supervisor = this.#supervisors.get(name);
    if (supervisor !== undefined) return supervisor;
    if (name === 'edgeAgent' || name === 'edgeHub') {
      throw new EdgeError('NOT_EMULATED', `${name} is part of the local edge: ${instead}.`);
    }
    const known = [...this.#supervisors.keys()].join(', ');
    throw new EdgeError('NOT_FOUND', `There is no module ${name} in the deployment; there are ${known}.`);
  }

  async *logs(name: string, options: LogsOptions): AsyncIterable<string> {
    const log = this.#log(name);
    const lines = log.read();
    if (!options.follow) {
      yield* lines
        .slice(options.tail === undefined ? 0 : Math.max(0, lines.length - options.tail))
        .map((line) => line.text);
      return;
    }
    for await (const line of log.follow(options.tail, options.signal)) yield line.text;
  }

  /** Resolves when the last change of the deployment has been worked off. */
  async settled(): Promise<void> {
    await this.#round;
  }

  #log(name: string): ModuleLog {
    const { systemLogs, stateDir } = this.#options;
    return ownValue(systemLogs, name) ?? new ModuleLog(join(stateDir, 'logs', `${name}.log`));
  }

  #methodHost() {
    return {
      deviceId: this.#options.hub.deviceId,
      hostName: this.#options.hub.hostName,
      modules: () => this.list().map((one) => one.name),
      restart: (name: string) => this.restart(name),
      lines: (name: string) => this.#log(name).read(),
    };
  }

  /** Rounds run one after another; each reads the newest desired properties. */
  #reconcile(): Promise<void> {
    const round = this.#round.then(async () => {
      // What one deployment writes in one go (identities, several twins) is seen as a whole.
      await new Promise((resolve) => setImmediate(resolve));
      if (!this.#stopping) await this.#work();
    });
    // A round that failed does not keep the next one from trying.
    this.#round = round.catch(() => undefined);
    return round;
  }

  async #work(): Promise<void> {
    const section = this.#options.hub.twins.get('$edgeAgent')?.desired;
    this.#desired = readDesired(section?.properties ?? {});
    const version = section?.version ?? 0;
    if (this.#desired.code !== 200) {
      // A document that does not hold changes nothing, as with edgeAgent.
      this.#desiredVersion = version;
      this.#options.log(this.#desired.code === 417 ? 'info' : 'error', this.#desired.description);
      this.#scheduleReport();
      return;
    }
    const wanted = new Map(this.#desired.modules.map((module) => [module.name, module]));
    await this.#removeOthers(wanted);
    for (const group of groupsByOrder(this.#desired.modules)) {
      // The next group follows the attempt to start this one; nothing waits for a module to be ready.
      await Promise.all(group.map((module) => this.#apply(module)));
    }
    // Reported when it is worked off, so that whoever waits for it sees what it made.
    this.#desiredVersion = version;
    this.#scheduleReport();
  }

  async #removeOthers(wanted: ReadonlyMap<string, DesiredModule>): Promise<void> {
    const gone = [...this.#supervisors.keys()].filter((name) => !wanted.has(name));
    await Promise.all(gone.map((name) => this.#remove(name)));
    for (const name of gone) this.#options.table.clear(name, true);
    for (const identity of this.#options.hub.identities.list()) {
      const system = identity.moduleId.startsWith('$');
      // Those made by hand, through the registry, are none of edgeAgent's business.
      if (!system && identity.managedBy === 'IotEdge' && !wanted.has(identity.moduleId)) {
        this.#options.hub.identities.remove(identity.moduleId);
        await this.#options.forget?.(identity.moduleId);
      }
    }
  }

  async #remove(name: string): Promise<void> {
    await this.#supervisors.get(name)?.stop();
    this.#supervisors.delete(name);
    await this.#options.runner.discard(name);
  }

  async #apply(module: DesiredModule): Promise<void> {
    const current = this.#supervisors.get(module.name);
    if (current !== undefined && current.module.signature !== module.signature)
      await this.#remove(module.name);
    const supervisor = this.#supervisors.get(module.name) ?? this.#supervise(module);
    const statusChanged = supervisor.module.status !== module.status;
    const isNew = supervisor !== current;
    supervisor.redefine(module);
    if (!isNew && !statusChanged) return;
    if (module.status === 'running') await supervisor.start();
    else await supervisor.stop();
  }

  #supervise(module: DesiredModule): ModuleSupervisor {
    const { runner, table, log, hub } = this.#options;
    // Known before it runs, so that its name is never looked up in DNS.
    table.addName(module.name);
    hub.identities.add(module.name, { managedBy: 'IotEdge' });
    const supervisor = new ModuleSupervisor(module, {
      runner,
      output: this.#log(module.name),
      log,
      times: this.#times,
      changed: () => this.#scheduleReport(),
    });
    this.#supervisors.set(module.name, supervisor);
    return supervisor;
  }

  /** Changes that come together make one report. */
  #scheduleReport(): void {
    this.#reportTimer ??= setTimeout(() => {
      this.#reportTimer = null;
      if (!this.#stopping) this.#report();
    }, 200);
  }

  #report(): void {
    this.#reporter.report({
      desired: this.#desired,
      desiredVersion: this.#desiredVersion,
      edgeHubVersion: this.#options.hub.twins.get('$edgeHub')?.desired.version ?? 0,
      modules: [...this.#supervisors.values()],
      startedAt: this.#startedAt,
    });
  }
}

/** Modules of equal startupOrder together, the lowest first. */
function groupsByOrder(modules: readonly DesiredModule[]): DesiredModule[][] {
  const orders = [...new Set(modules.map((module) => module.startupOrder))].sort((a, b) => a - b);
  return orders.map((order) => modules.filter((module) => module.startupOrder === order));
}
