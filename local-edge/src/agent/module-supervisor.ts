import type { ExecCommand, ModuleState, ModuleStatus } from '../control/control-api.ts';
import type { EdgeLog } from '../edge-log.ts';
import { EdgeError } from '../errors.ts';
import type { DesiredModule } from './desired-modules.ts';
import { describeAge } from './describe-age.ts';
import type { ModuleLog } from './module-log.ts';
import type { ModuleRun, ModuleRunner } from './module-runner.ts';
import { judge } from './restart-policy.ts';
import type { RestartTimes, Trouble } from './restart-policy.ts';

export interface SupervisorOptions {
  readonly runner: ModuleRunner;
  readonly output: ModuleLog;
  readonly log: EdgeLog;
  readonly times: RestartTimes;
  readonly changed: () => void;
}

/** What is reported of a module beside its status. */
export interface ModuleTimes {
  readonly lastStart: Date | null;
  readonly lastExit: Date | null;
  readonly lastRestart: Date | null;
}

/** Keeps one module as it is wanted: starts, watches, restarts by its policy, stops. Operations run one after another. */
export class ModuleSupervisor {
  readonly #options: SupervisorOptions;
  #module: DesiredModule;
  #state: ModuleState = 'stopped';
  #reason = 'never started';
  #run: ModuleRun | null = null;
  #foreign = false;
  #stopWatching: (() => void) | null = null;
  #timer: NodeJS.Timeout | null = null;
  #nextStart: number | null = null;
  #restartCount = 0;
  #exitCode: number | null = null;
  #times: { lastStart: Date | null; lastExit: Date | null; lastRestart: Date | null } = {
    lastStart: null,
    lastExit: null,
    lastRestart: null,
  };
  #queue: Promise<void> = Promise.resolve();

  constructor(module: DesiredModule, options: SupervisorOptions) {
    this.#module = module;
    this.#options = options;
  }

  get module(): DesiredModule {
    return this.#module;
  }

  get times(): ModuleTimes {
    return this.#times;
  }

  status(): ModuleStatus {
    this.#settle();
    return {
      name: this.#module.name,
      status: this.#state,
      description: this.#describe(),
      image: this.#module.image,
      restartCount: this.#restartCount,
      exitCode: this.#exitCode,
      startedAt: this.#times.lastStart?.toISOString() ?? null,
      pid: this.#run?.pid ?? null,
    };
  }

  /** Takes a definition that differs in its status only. */
  redefine(module: DesiredModule): void {
    this.#module = module;
  }

  /** Attempts a start, unless it runs. Never rejects: what went wrong is in the status. */
  start(): Promise<void> {
    return this.#enqueue(() => this.#start());
  }

  stop(): Promise<void> {
    return this.#enqueue(() => this.#stop('stopped'));
  }

  async restart(): Promise<void> {
    if (this.#module.status === 'stopped') {
      throw new EdgeError(
        'REFUSED',
        `${this.#module.name} is stopped by its desired status; set status to "running".`,
      );
    }
    await this.#enqueue(async () => {
      await this.#stop('restarting');
      await this.#start();
    });
    if (this.#state !== 'running') {
      throw new EdgeError('NOT_RUNNING', `${this.#module.name} does not run: ${this.#reason}`);
    }
  }

  /** The command as it is to be run beside the program, while that runs. */
  exec(words: readonly string[]): ExecCommand {
    const { name } = this.#module;
    if (this.#foreign)
      throw new EdgeError('NOT_EMULATED', `${name} is no process of the local edge: ${this.#reason}`);
    if (this.#run === null) throw new EdgeError('NOT_RUNNING', `${name} does not run: ${this.#reason}`);
    return this.#run.exec(words);
  }

  #enqueue(work: () => Promise<void>): Promise<void> {
    this.#queue = this.#queue.then(work);
    return this.#queue;
  }

  async #start(): Promise<void> {
    if (this.#run !== null || this.#foreign) return;
    this.#unschedule();
    const { name } = this.#module;
    const { log, output, runner } = this.#options;
    try {
      const run = await runner.start(this.#module, output);
      for (const note of run.notes) log('info', `${name}: ${note}`);
      if (run.kind === 'foreign') {
        this.#foreign = true;
        this.#enter('running', `not started here: ${run.address} serves it`);
        return;
      }
      if (run.without.length > 0) {
        log('debug', `${name}: without meaning for a process: ${run.without.join(', ')}`);
      }
      this.#run = run;
      this.#times.lastStart = new Date();
      this.#stopWatching = run.watchHealth((healthy, said) => this.#judgeHealth(run, healthy, said));
      void run.ended.then((code) => this.#ended(run, code));
      log('info', `${name}: started`, run.pid === null ? {} : { pid: run.pid });
      this.#enter('running', '');
    } catch (error) {
      this.#times.lastStart ??= null;
      this.#refused(error);
    }
  }

  #refused(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.#options.log('error', `${this.#module.name}: cannot be started: ${reason}`);
    this.#options.output.write('stderr', `local edge: ${reason}\n`);
    if (error instanceof EdgeError && error.code === 'NOT_EMULATED') this.#enter('failed', reason);
    else this.#afterTrouble({ kind: 'exit', exitCode: 127 }, reason);
  }

  async #stop(reason: string): Promise<void> {
    this.#unschedule();
    this.#unwatch();
    const run = this.#run;
    this.#foreign = false;
    if (run !== null) {
      this.#run = null;
      await run.stop();
      const code = await run.ended;
      this.#finish(code);
      this.#options.log('info', `${this.#module.name}: stopped`, { exitCode: code });
    }
    this.#enter('stopped', reason);
  }

  #ended(run: ModuleRun, exitCode: number): void {
    if (this.#run !== run) return;
    this.#settle();
    this.#run = null;
    this.#unwatch();
    this.#finish(exitCode);
    this.#options.log(exitCode === 0 ? 'info' : 'warn', `${this.#module.name}: exited with code ${exitCode}`);
    this.#afterTrouble({ kind: 'exit', exitCode }, `exited with code ${exitCode}`);
  }

  #finish(exitCode: number): void {
    this.#exitCode = exitCode;
    this.#times.lastExit = new Date();
  }

  #judgeHealth(run: ModuleRun, healthy: boolean, output: string): void {
    if (this.#run !== run) return;
    if (healthy && this.#state === 'unhealthy') this.#enter('running', '');
    if (healthy || this.#state !== 'running') return;
    this.#options.log('warn', `${this.#module.name}: its health check fails`, { output });
    this.#afterTrouble({ kind: 'unhealthy' }, 'its health check fails');
  }

  #unwatch(): void {
    this.#stopWatching?.();
    this.#stopWatching = null;
  }

  #afterTrouble(trouble: Trouble, reason: string): void {
    const verdict = judge(trouble, this.#module.restartPolicy, this.#restartCount, this.#options.times);
    if (verdict.restartAfterMs !== null) {
      // Counted from the last exit, so that a module which never ended and is unhealthy restarts at once.
      const since = this.#times.lastExit?.getTime() ?? (trouble.kind === 'unhealthy' ? 0 : Date.now());
      const wait = Math.max(0, since + verdict.restartAfterMs - Date.now());
      this.#nextStart = Date.now() + wait;
      this.#timer = setTimeout(() => void this.#enqueue(() => this.#again(verdict.counts)), wait);
    }
    this.#enter(verdict.status, reason);
  }

  async #again(counts: boolean): Promise<void> {
    if (this.#timer === null) return;
    await this.#stop('restarting');
    if (counts) {
      this.#restartCount++;
      this.#times.lastRestart = new Date();
    }
    await this.#start();
  }

  #unschedule(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#nextStart = null;
  }

  /** A module that has run for long enough is forgiven its restarts. */
  #settle(): void {
    const since = this.#times.lastStart;
    if (this.#run === null || since === null || this.#state !== 'running') return;
    if (Date.now() - since.getTime() > this.#options.times.settledAfterMs) this.#restartCount = 0;
  }

  #enter(state: ModuleState, reason: string): void {
    this.#state = state;
    this.#reason = reason;
    this.#options.changed();
  }

  #describe(): string {
    const since = this.#times.lastStart;
    if (this.#state === 'running' && this.#run !== null && since !== null) {
      return `Up ${describeAge(Date.now() - since.getTime())}`;
    }
    if (this.#nextStart === null) return this.#reason;
    const seconds = Math.max(0, Math.ceil((this.#nextStart - Date.now()) / 1000));
    return `${this.#reason}, next start in ${seconds} s`;
  }
}
