import { errorText, systemClock } from '@iotedge-redis/common';
import type {
  Clock,
  Component,
  ComponentHealth,
  JsonObject,
  Log,
  MethodHandler,
  ModuleContext,
} from '@iotedge-redis/common';
import { Patience, codeOf } from '@iotedge-redis/common/blob';
import { parseCheckpoint } from './run/checkpoint.ts';
import { createImportParts } from './run/import-parts.ts';
import type { ImportParts } from './run/import-parts.ts';
import type { Trigger } from './run/import-run.ts';
import { markCancelled } from './run/mark-cancelled.ts';
import type { SyncSettings } from './settings.ts';
import { syncMethods } from './sync-methods.ts';
import type { SyncMetrics } from './sync-metrics.ts';
import { SyncView } from './sync-view.ts';
import { TriggerLoop } from './trigger-loop.ts';

export interface SyncOptions {
  readonly clock?: Clock;
  readonly metrics?: SyncMetrics;
  readonly maxPauseMs?: number;
  readonly giveUpAfterMs?: number;
}

type Context = Pick<ModuleContext, 'instance' | 'log' | 'report' | 'settingsVersion'>;

const MAX_PAUSE_MS = 30_000;
/** After a failure that nobody foresaw. What a person has to mend is not tried again before something changes. */
const RETRY_INTERNAL_MS = 60_000;

/** Imports one blob into one Redis whenever there is reason to, one run at a time. */
export class BlobSync implements Component<SyncSettings> {
  readonly name = 'sync';
  readonly methods: Readonly<Record<string, MethodHandler>>;
  readonly #options: SyncOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #parts: ImportParts;
  readonly #view: SyncView;
  readonly #triggers: TriggerLoop;
  readonly #stopping = new AbortController();
  readonly #healthListeners: (() => void)[] = [];
  #settings: SyncSettings;
  /** How an import that did not come to its end goes on: as a new one as long as it has not begun. */
  #goesOn: Trigger = 'resume';
  #loop: Promise<void> = Promise.resolve();
  #cancel: AbortController | undefined;

  constructor(settings: SyncSettings, context: Context, options: SyncOptions = {}) {
    this.#settings = settings;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#log = context.log.child('sync');
    this.#parts = createImportParts({
      instance: context.instance,
      settings: () => this.#settings,
      clock: this.#clock,
      log: this.#log,
    });
    const { source, connection } = this.#parts;
    this.#view = new SyncView({
      context,
      clock: this.#clock,
      log: this.#log,
      metrics: options.metrics,
      source,
      redis: connection.place,
      sas: () => this.#settings.blobSasToken ?? '',
      onHealthChange: () => this.#healthChanged(),
    });
    this.#triggers = new TriggerLoop({
      clock: this.#clock,
      signal: this.#stopping.signal,
      checkAfterMs: () => this.#checkAfterMs(),
      run: (trigger) => this.#runOnce(trigger),
    });
    connection.onStatus(() => this.#redisChanged());
    this.methods = syncMethods({
      start: (isOnlyIfChanged) => this.#startByHand(isOnlyIfChanged),
      cancel: () => this.#cancelByHand(),
      describe: () => this.#view.describe(),
      sentence: () => this.#view.sentence(),
    });
  }

  /** Never fails: Redis and the blob may both be away for days, which is a state of the import and no failed start. */
  async start(): Promise<void> {
    await this.#parts.connection.connect(this.#stopping.signal).catch(() => undefined);
    this.#loop = this.#triggers.work();
    this.#triggers.trigger('check');
  }

  async stop(signal: AbortSignal): Promise<void> {
    this.#stopping.abort();
    this.#triggers.wake();
    await this.#loop;
    await this.#parts.connection.close(signal);
  }

  applyLive(settings: SyncSettings): void {
    const hasNewSas = settings.blobSasToken !== this.#settings.blobSasToken;
    this.#settings = settings;
    const { failure, waiting } = this.#view;
    // A run that a refused SAS ended goes on; one that is done stays done.
    if (
      hasNewSas &&
      (failure?.code.startsWith('SAS_') === true || waiting?.code.startsWith('SAS_') === true)
    ) {
      this.#cancel?.abort('new SAS');
      this.#triggers.trigger(this.#goesOn);
    }
    this.#triggers.wake();
    this.#view.report();
  }

  onHealthChange(listener: () => void): void {
    this.#healthListeners.push(listener);
  }

  health(): ComponentHealth {
    const { status, place } = this.#parts.connection;
    const data: JsonObject = { redis: place, connection: status.state, sync: this.#view.state };
    if (status.state !== 'ready') {
      return { state: 'down', detail: status.error?.message ?? `not connected to ${place} yet`, data };
    }
    const why = this.#view.failure ?? this.#view.waiting;
    return why === undefined ? { state: 'ok', data } : { state: 'degraded', detail: why.message, data };
  }

  /** One import to its end, for the command line. */
  async once(trigger: Trigger, signal: AbortSignal): Promise<{ isDone: boolean; result: JsonObject }> {
    const stop = (): void => this.#stopping.abort();
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    await this.#parts.connection.connect(this.#stopping.signal).catch(() => undefined);
    await this.#runOnce(trigger);
    await this.#parts.connection.close(signal);
    return { isDone: this.#view.state === 'done', result: this.#view.describe() };
  }

  /** Poll, and the second chance after a failure that nobody foresaw. */
  #checkAfterMs(): number {
    const { pollIntervalSeconds } = this.#settings;
    const retryMs = this.#view.failure?.code === 'INTERNAL' ? RETRY_INTERNAL_MS : Infinity;
    return Math.min(pollIntervalSeconds === 0 ? Infinity : pollIntervalSeconds * 1000, retryMs);
  }

  async #runOnce(trigger: Trigger): Promise<void> {
    if (trigger === 'new') this.#goesOn = 'new';
    const cancel = new AbortController();
    this.#cancel = cancel;
    const signal = AbortSignal.any([this.#stopping.signal, cancel.signal]);
    const { giveUpAfterMs, maxPauseMs = MAX_PAUSE_MS } = this.#options;
    const { blobSasToken } = this.#settings;
    const patience = new Patience({
      signal,
      clock: this.#clock,
      maxPauseMs,
      ...(giveUpAfterMs === undefined ? {} : { giveUpAfterMs }),
      onWaiting: (waiting) => this.#view.waits(waiting),
    });
    const run = this.#parts.createRun({
      patience,
      signal,
      onProgress: (progress) => {
        this.#goesOn = 'resume';
        this.#view.progressed(progress);
      },
    });
    this.#view.checking();
    try {
      const { checkpoint, facts, isNew } = await run.run(trigger);
      this.#view.set({ checkpoint, facts });
      this.#view.ended(isNew);
    } catch (error) {
      await this.#interrupted(error, cancel, blobSasToken);
    } finally {
      this.#cancel = undefined;
      this.#view.over();
    }
  }

  async #interrupted(error: unknown, cancel: AbortController, sas: string | undefined): Promise<void> {
    const failure = { code: codeOf(error), message: errorText(error) };
    if (this.#stopping.signal.aborted) this.#view.enter('idle');
    else if (cancel.signal.aborted) {
      if (cancel.signal.reason === 'cancelled') await this.#leaveCancelled();
    } else if (failure.code.startsWith('SAS_') && sas !== this.#settings.blobSasToken) {
      // The refused request was on its way when the new SAS came.
      this.#triggers.trigger(this.#goesOn);
    } else this.#view.failed(failure);
  }

  /** Marks the run in Redis, so that a restart does not take it up again. */
  async #leaveCancelled(): Promise<void> {
    const { checkpoint, facts } = this.#view.progress;
    this.#log.warn('import cancelled', { rows: checkpoint?.rows ?? 0 });
    try {
      const cancelled = await markCancelled(this.#parts.sink, this.#parts.plan, this.#clock);
      if (cancelled !== undefined && facts !== undefined) this.#view.set({ checkpoint: cancelled, facts });
    } catch (error) {
      this.#log.warn('the cancelled import could not be marked; a restart would go on with it', {
        error: errorText(error),
      });
    } finally {
      // Whoever sees the state may start the next one.
      this.#cancel = undefined;
      this.#view.enter('cancelled');
    }
  }

  #startByHand(isOnlyIfChanged: boolean): string | undefined {
    if (this.#cancel !== undefined || this.#triggers.isDue)
      return `an import is under way: ${this.#view.sentence()}`;
    const isUnfinished = this.#view.state === 'cancelled' || this.#view.failure !== undefined;
    this.#triggers.trigger(isOnlyIfChanged ? 'check' : isUnfinished ? this.#goesOn : 'new');
    // Whoever asks for the status next must not be told of the run before.
    this.#view.enter('checking');
    return undefined;
  }

  #cancelByHand(): boolean {
    this.#cancel?.abort('cancelled');
    return this.#cancel !== undefined;
  }

  #redisChanged(): void {
    if (this.#parts.connection.status.state === 'ready') {
      if (this.#view.failure?.code.startsWith('REDIS_') === true) this.#triggers.trigger(this.#goesOn);
      else if (this.#view.state === 'done') void this.#lookForMark();
    }
    this.#healthChanged();
  }

  /** A Redis that came back without its data needs the file again; one that kept it is no reason to ask for the blob. */
  async #lookForMark(): Promise<void> {
    try {
      const held = parseCheckpoint(await this.#parts.sink.load());
      if (held?.run !== this.#view.progress.checkpoint?.run) this.#triggers.trigger('check');
    } catch {
      // Gone again: it is looked at when it is back.
    }
  }

  #healthChanged(): void {
    for (const listener of this.#healthListeners) listener();
  }
}
