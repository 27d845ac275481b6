import { SuiteError, errorText, systemClock } from '@iotedge-redis/common';
import type { Clock, JsonObject, Log } from '@iotedge-redis/common';
import { Patience, codeOf } from '@iotedge-redis/common/blob';
import type { Kind, Run, Trigger } from './run.ts';
import { KINDS, isOver, newRunId } from './run.ts';
import type { RunStore } from './run-store.ts';
import type { Worker } from './work.ts';

export interface RunsOptions {
  readonly store: RunStore;
  readonly workers: Readonly<Record<Kind, Worker>>;
  /** Redis and containers that a run of this kind works between, without secrets. */
  readonly place: (kind: Kind) => string;
  readonly log: Log;
  readonly clock?: Clock;
  /** Called whenever what is to be shown of a run changed; `isNews` when its state did. */
  readonly onChange: (run: Run, isNews: boolean) => void;
  /** Called when a run came to a good end, before that is kept: what it begins is kept with it. */
  readonly onDone?: (run: Run) => void;
  readonly maxPauseMs?: number;
  /** For a command: a failure that lasts longer ends the run. */
  readonly giveUpAfterMs?: number;
}

interface Active {
  readonly cancel: AbortController;
  readonly ended: Promise<Run>;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const KEPT = 20;
const MAX_PAUSE_MS = 30_000;

/** All runs of the module: at most one of each kind at a time, each kept until it is over. */
export class Runs {
  readonly #options: RunsOptions;
  readonly #clock: Clock;
  readonly #stopping = new AbortController();
  readonly #active = new Map<Kind, Active>();
  /** Newest first. */
  #runs: Run[] = [];
  #saving: Promise<void> = Promise.resolve();

  constructor(options: RunsOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  get all(): readonly Run[] {
    return this.#runs;
  }

  find(id: string): Run | undefined {
    return this.#runs.find((run) => run.id === id);
  }

  last(kind: Kind): Run | undefined {
    return this.#runs.find((run) => run.kind === kind);
  }

  isActive(kind: Kind): boolean {
    return this.#active.has(kind);
  }

  /** Reads what was kept and goes on with what was under way. */
  async open(): Promise<void> {
    const kept = await this.#options.store.load();
    this.#runs = [...this.#runs, ...kept];
    for (const kind of KINDS) {
      const run = this.#runs.find((one) => one.kind === kind && !isOver(one));
      if (run !== undefined && !this.#active.has(kind)) this.#go({ ...run, resumes: run.resumes + 1 });
    }
    for (const kind of KINDS) {
      const last = this.last(kind);
      if (last !== undefined) this.#options.onChange(last, true);
    }
  }

  /** Begins a run; CONFLICT while another of its kind is under way. */
  begin(kind: Kind, input: JsonObject, trigger: Trigger): Run {
    this.#mustBeFree(kind);
    const now = this.#clock.now();
    const place = this.#options.place(kind);
    const run: Run = {
      ...{ id: newRunId(now), kind, trigger, input, place, state: 'running', startedAt: now },
      ...{ resumes: 0, progress: {} },
    };
    this.#runs.unshift(run);
    this.#trim();
    this.#go(run);
    return run;
  }

  /** Goes on with a run that ended without success. */
  resume(id: string): Run {
    const run = this.find(id);
    if (run === undefined) throw new SuiteError('NOT_FOUND', `resuming ${id}: there is no run of this id`);
    if (run.state === 'done')
      throw new SuiteError('CONFLICT', `resuming ${id}: the run is done; begin a new one`);
    this.#mustBeFree(run.kind);
    const next: Mutable<Run> = { ...run, state: 'running', resumes: run.resumes + 1 };
    delete next.finishedAt;
    delete next.error;
    this.#go(next);
    return next;
  }

  /** True when a run of this id was under way. */
  cancel(id: string): boolean {
    const run = this.find(id);
    const active = run === undefined || isOver(run) ? undefined : this.#active.get(run.kind);
    active?.cancel.abort('cancelled');
    return active !== undefined;
  }

  /** Resolves when the run is over, or when the module stops. */
  async ended(id: string): Promise<Run | undefined> {
    const run = this.find(id);
    return run === undefined || isOver(run) ? run : this.#active.get(run.kind)?.ended;
  }

  /** Ends the work; what is not over goes on when the module starts again. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all([...this.#active.values()].map(({ ended }) => ended));
    await this.#saving.catch(() => undefined);
  }

  #mustBeFree(kind: Kind): void {
    const busy = this.#runs.find((run) => run.kind === kind && !isOver(run));
    if (busy !== undefined)
      throw new SuiteError('CONFLICT', `starting an ${kind}: run ${busy.id} is under way`);
  }

  #go(run: Run): void {
    const cancel = new AbortController();
    this.#set(run, true);
    this.#active.set(run.kind, { cancel, ended: this.#work(run, cancel) });
  }

  async #work(begun: Run, cancel: AbortController): Promise<Run> {
    const { id, kind } = begun;
    const { log, workers, place, maxPauseMs, giveUpAfterMs } = this.#options;
    const signal = AbortSignal.any([this.#stopping.signal, cancel.signal]);
    const runLog = log.child(kind);
    const patience = new Patience({
      signal,
      clock: this.#clock,
      maxPauseMs: maxPauseMs ?? MAX_PAUSE_MS,
      ...(giveUpAfterMs === undefined ? {} : { giveUpAfterMs }),
      onWaiting: (error) => {
        if (error !== undefined) runLog.warn('the run waits', { runId: id, ...error });
        this.#change(id, error === undefined ? { state: 'running' } : { state: 'waiting', error }, true);
      },
    });
    try {
      await this.#save();
      if (begun.place !== place(kind)) {
        throw new SuiteError(
          'CONFLICT',
          `going on with run ${id}: Redis or the container is another one now; begin a new run`,
        );
      }
      runLog.info(begun.resumes === 0 ? 'run starts' : 'run goes on', { runId: id, trigger: begun.trigger });
      const result = await workers[kind]({
        runId: id,
        input: begun.input,
        checkpoint: begun.checkpoint,
        resumes: begun.resumes,
        signal,
        patience,
        log: runLog,
        progress: (progress) => this.#change(id, { progress }, false),
        keep: async (checkpoint) => {
          this.#change(id, { checkpoint }, false);
          await this.#save();
        },
      });
      runLog.info('run done', { runId: id, ...result });
      return await this.#end(begun, { state: 'done', result });
    } catch (error) {
      if (this.#stopping.signal.aborted) return this.find(id) ?? begun;
      if (cancel.signal.aborted) {
        runLog.warn('run cancelled', { runId: id });
        const message = 'the run was cancelled; its runId goes on with it';
        return await this.#end(begun, { state: 'cancelled', error: { code: 'CANCELLED', message } });
      }
      const failure = { code: codeOf(error), message: errorText(error) };
      runLog.error('run failed', { runId: id, ...failure });
      return await this.#end(begun, { state: 'failed', error: failure });
    }
  }

  async #end(run: Run, end: Pick<Run, 'state' | 'result' | 'error'>): Promise<Run> {
    this.#active.delete(run.kind);
    this.#change(run.id, { ...end, finishedAt: this.#clock.now() }, true);
    const ended = this.find(run.id) ?? run;
    if (ended.state === 'done') this.#options.onDone?.(ended);
    await this.#save();
    return ended;
  }

  #change(id: string, change: Partial<Run>, isNews: boolean): void {
    const run = this.find(id);
    if (run === undefined) return;
    const { error, ...rest } = { ...run, ...change };
    const isWhy = rest.state === 'waiting' || rest.state === 'failed' || rest.state === 'cancelled';
    this.#set({ ...rest, ...(isWhy && error !== undefined ? { error } : {}) }, isNews);
  }

  #set(run: Run, isNews: boolean): void {
    this.#runs = this.#runs.map((one) => (one.id === run.id ? run : one));
    this.#options.onChange(run, isNews);
  }

  #trim(): void {
    const over = this.#runs.filter(isOver).slice(KEPT);
    this.#runs = this.#runs.filter((run) => !over.includes(run));
  }

  /** One after the other, each time the whole; a failure is a warning, since the run itself goes well without. */
  #save(): Promise<void> {
    this.#saving = this.#saving.then(async () => {
      try {
        await this.#options.store.save(this.#runs);
      } catch (error) {
        this.#options.log.warn('the runs could not be kept; a restart would not know of them', {
          error: errorText(error),
        });
      }
    });
    return this.#saving;
  }
}
