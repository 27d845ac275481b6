import { RedisConnection, errorText, sleep, systemClock } from '@iotedge-redis/common';
import type {
  Clock,
  Component,
  ComponentHealth,
  JsonObject,
  JsonValue,
  Log,
  MethodHandler,
  MethodReply,
  ModuleContext,
} from '@iotedge-redis/common';
import type { Waiting } from '@iotedge-redis/common/blob';
import { BlobSource, Patience, codeOf, sasFacts } from '@iotedge-redis/common/blob';
import { parseCheckpoint, syncKeys } from './checkpoint.ts';
import type { SyncKeys } from './checkpoint.ts';
import { ImportRun } from './import-run.ts';
import type { RunProgress, Trigger } from './import-run.ts';
import { Mirror } from './mirror.ts';
import { RedisMemory } from './redis-memory.ts';
import { RedisSink } from './redis-sink.ts';
import { planRun } from './run-plan.ts';
import type { RunPlan } from './run-plan.ts';
import type { SyncSettings } from './settings.ts';
import { describe } from './sync-status.ts';
import type { SyncState } from './sync-status.ts';
import type { SyncMetrics } from './sync-metrics.ts';

export interface SyncOptions {
  readonly clock?: Clock;
  readonly metrics?: SyncMetrics;
  readonly maxPauseMs?: number;
  readonly giveUpAfterMs?: number;
}

type Context = Pick<ModuleContext, 'instance' | 'log' | 'report' | 'settingsVersion'>;

const MAX_PAUSE_MS = 30_000;
const PROGRESS_MS = 10_000;

/** Imports one blob into one Redis whenever there is reason to, one run at a time. */
export class BlobSync implements Component<SyncSettings> {
  readonly name = 'sync';
  readonly methods: Readonly<Record<string, MethodHandler>>;
  readonly #context: Context;
  readonly #options: SyncOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #plan: RunPlan;
  readonly #keys: SyncKeys;
  readonly #connection: RedisConnection;
  readonly #source: BlobSource;
  readonly #sink: RedisSink;
  readonly #stopping = new AbortController();
  readonly #healthListeners: (() => void)[] = [];
  #settings: SyncSettings;
  #state: SyncState = 'idle';
  #progress: Partial<RunProgress> = {};
  #waiting: Waiting | undefined;
  #failure: Waiting | undefined;
  #reportedAt = 0;
  #wanted: Trigger | undefined;
  #wake: () => void = () => undefined;
  #loop: Promise<void> = Promise.resolve();
  #cancel: AbortController | undefined;

  constructor(settings: SyncSettings, context: Context, options: SyncOptions = {}) {
    this.#settings = settings;
    this.#context = context;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#log = context.log.child('sync');
    this.#plan = planRun(settings);
    this.#keys = syncKeys(context.instance, this.#plan.file);
    const { target, place } = this.#plan;
    this.#connection = new RedisConnection({ target, name: context.instance, log: this.#log });
    this.#source = new BlobSource({
      place,
      sas: () => this.#settings.blobSasToken ?? '',
      stallTimeoutMs: settings.stallTimeoutMs,
      clock: this.#clock,
    });
    this.#sink = new RedisSink(
      this.#connection,
      this.#keys.checkpoint,
      target.mode === 'cluster',
      target.commandTimeoutMs,
    );
    this.#connection.onStatus(() => this.#redisChanged());
    this.methods = {
      Sync: ({ payload }) => Promise.resolve(this.#sync(payload)),
      SyncStatus: () =>
        Promise.resolve({
          status: 200,
          payload: { ...this.#describe(), Status: 200, Message: this.#sentence() },
        }),
      CancelSync: () => Promise.resolve(this.#cancelSync()),
    };
  }

  /** Never fails: Redis and the blob may both be away for days, which is a state of the import and no failed start. */
  async start(): Promise<void> {
    await this.#connection.connect(this.#stopping.signal).catch(() => undefined);
    this.#loop = this.#work();
    this.#trigger('check');
  }

  async stop(signal: AbortSignal): Promise<void> {
    this.#stopping.abort();
    this.#wake();
    await this.#loop;
    await this.#connection.close(signal);
  }

  applyLive(settings: SyncSettings): void {
    const hasNewSas = settings.blobSasToken !== this.#settings.blobSasToken;
    this.#settings = settings;
    // A run that a refused SAS ended goes on; one that is done stays done.
    if (
      hasNewSas &&
      (this.#failure?.code.startsWith('SAS_') === true || this.#waiting?.code.startsWith('SAS_') === true)
    ) {
      this.#cancel?.abort('new SAS');
      this.#trigger('resume');
    }
    this.#wake();
    this.#report(true);
  }

  onHealthChange(listener: () => void): void {
    this.#healthListeners.push(listener);
  }

  health(): ComponentHealth {
    const { status, place } = this.#connection;
    const data: JsonObject = { redis: place, connection: status.state, sync: this.#state };
    if (status.state !== 'ready') {
      return { state: 'down', detail: status.error?.message ?? `not connected to ${place} yet`, data };
    }
    const why = this.#failure ?? this.#waiting;
    return why === undefined ? { state: 'ok', data } : { state: 'degraded', detail: why.message, data };
  }

  /** One import to its end, for the command line. */
  async once(trigger: Trigger, signal: AbortSignal): Promise<{ isDone: boolean; result: JsonObject }> {
    const stop = (): void => this.#stopping.abort();
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    await this.#connection.connect(this.#stopping.signal).catch(() => undefined);
    await this.#runOnce(trigger);
    await this.#connection.close(signal);
    return { isDone: this.#state === 'done', result: this.#describe() };
  }

  #trigger(trigger: Trigger): void {
    const rank: readonly (Trigger | undefined)[] = [undefined, 'check', 'resume', 'new'];
    if (rank.indexOf(trigger) > rank.indexOf(this.#wanted)) this.#wanted = trigger;
    this.#wake();
  }

  async #work(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const trigger = this.#wanted;
      this.#wanted = undefined;
      if (trigger === undefined) await this.#pause(signal);
      else await this.#runOnce(trigger);
    }
  }

  /** Until somebody triggers, or the poll is due. */
  async #pause(signal: AbortSignal): Promise<void> {
    const wake = new AbortController();
    this.#wake = () => wake.abort();
    const { pollIntervalSeconds } = this.#settings;
    const retryMs = this.#failure === undefined ? Infinity : this.#retryAfterMs(this.#failure.code);
    const pollMs = pollIntervalSeconds === 0 ? Infinity : pollIntervalSeconds * 1000;
    const ms = Math.min(pollMs, retryMs);
    try {
      await sleep(Math.min(ms, 2 ** 31 - 1), AbortSignal.any([signal, wake.signal]), this.#clock);
      if (ms !== Infinity) this.#trigger('check');
    } catch {
      // Woken, or stopped: the loop looks what for.
    } finally {
      this.#wake = () => undefined;
    }
  }

  /** What a person has to mend is not tried again before something changes. */
  #retryAfterMs(code: string): number {
    return code === 'INTERNAL' ? 60_000 : Infinity;
  }

  async #runOnce(trigger: Trigger): Promise<void> {
    const cancel = new AbortController();
    this.#cancel = cancel;
    const signal = AbortSignal.any([this.#stopping.signal, cancel.signal]);
    const patience = new Patience({
      signal,
      clock: this.#clock,
      maxPauseMs: this.#options.maxPauseMs ?? MAX_PAUSE_MS,
      ...(this.#options.giveUpAfterMs === undefined ? {} : { giveUpAfterMs: this.#options.giveUpAfterMs }),
      onWaiting: (waiting) => this.#setWaiting(waiting),
    });
    const run = this.#createRun(patience, signal);
    this.#failure = undefined;
    this.#setState('checking');
    try {
      const { checkpoint, facts, isNew } = await run.run(trigger);
      this.#progress = { checkpoint, facts };
      this.#finished(isNew);
    } catch (error) {
      await this.#interrupted(error, cancel);
    } finally {
      this.#cancel = undefined;
      this.#waiting = undefined;
      this.#report(true);
    }
  }

  #createRun(patience: Patience, signal: AbortSignal): ImportRun {
    const isCluster = this.#plan.target.mode === 'cluster';
    return new ImportRun({
      settings: () => this.#settings,
      plan: this.#plan,
      keys: this.#keys,
      source: this.#source,
      sink: this.#sink,
      mirror: new Mirror({
        connection: this.#connection,
        keys: this.#keys,
        unlink: (keys) => this.#sink.unlink(keys),
      }),
      memory: new RedisMemory(this.#connection, this.#clock, isCluster),
      patience,
      clock: this.#clock,
      log: this.#log,
      signal,
      onProgress: (progress) => this.#progressed(progress),
    });
  }

  #progressed(progress: RunProgress): void {
    this.#options.metrics?.progress(progress.checkpoint, this.#source.bytesFetched);
    this.#progress = progress;
    if (this.#state === 'checking') this.#setState('running');
    else if (this.#report(false)) {
      const { rows, written, skipped, deleted, offset } = progress.checkpoint;
      this.#log.info('import goes on', {
        rows,
        written,
        skipped,
        deleted,
        offset,
        of: progress.facts.length,
      });
    }
  }

  #finished(isNew: boolean): void {
    const { checkpoint } = this.#progress;
    const state = checkpoint?.state;
    this.#setState(state === 'failed' ? 'failed' : state === 'cancelled' ? 'cancelled' : 'done');
    if (!isNew || checkpoint === undefined) return;
    const { rows, written, skipped, deleted, code, message, errors } = checkpoint;
    const fields = {
      rows,
      written,
      skipped,
      deleted,
      etag: checkpoint.etag,
      ...(code === null ? {} : { code, message }),
    };
    this.#options.metrics?.ended(state === 'failed' ? 'failed' : 'done');
    if (state === 'failed') this.#log.error('import ended without success', { ...fields, errors });
    else if (skipped > 0) this.#log.warn('import done; some rows were skipped', { ...fields, errors });
    else this.#log.info('import done', fields);
  }

  async #interrupted(error: unknown, cancel: AbortController): Promise<void> {
    if (this.#stopping.signal.aborted) {
      this.#setState('idle');
      return;
    }
    if (cancel.signal.aborted) {
      if (cancel.signal.reason === 'cancelled') await this.#leaveCancelled();
      return;
    }
    this.#failure = { code: codeOf(error), message: errorText(error) };
    this.#options.metrics?.ended('failed');
    this.#setState('failed');
    this.#log.error('import failed', { ...this.#failure });
  }

  /** Marks the run in Redis, so that a restart does not take it up again. */
  async #leaveCancelled(): Promise<void> {
    this.#log.warn('import cancelled', { rows: this.#progress.checkpoint?.rows ?? 0 });
    try {
      const held = parseCheckpoint(await this.#sink.load());
      if (held === undefined || held.state === 'done') return;
      const message = 'the run was cancelled; Sync goes on with it';
      const checkpoint = {
        ...held,
        state: 'cancelled',
        finishedAt: this.#clock.now(),
        code: 'CANCELLED',
        message,
      } as const;
      await this.#sink.begin(JSON.stringify(checkpoint));
      if (this.#progress.facts !== undefined) this.#progress = { checkpoint, facts: this.#progress.facts };
    } catch (error) {
      this.#log.warn('the cancelled import could not be marked; a restart would go on with it', {
        error: errorText(error),
      });
    } finally {
      this.#cancel = undefined;
      this.#setState('cancelled');
    }
  }

  #sync(payload: JsonValue): MethodReply {
    const options = payload === null || payload === '' ? {} : payload;
    if (typeof options !== 'object' || Array.isArray(options)) {
      return reply(400, 'expected no payload, or {"ifChanged": true}');
    }
    const { ifChanged, ...unknown } = options;
    if (Object.keys(unknown).length > 0 || (ifChanged !== undefined && typeof ifChanged !== 'boolean')) {
      return reply(400, 'expected no payload, or {"ifChanged": true}');
    }
    if (this.#cancel !== undefined || this.#wanted !== undefined)
      return reply(409, `an import is under way: ${this.#sentence()}`);
    const isUnfinished = this.#state === 'cancelled' || this.#failure !== undefined;
    this.#trigger(ifChanged === true ? 'check' : isUnfinished ? 'resume' : 'new');
    // Whoever asks for the status next must not be told of the run before.
    this.#setState('checking');
    return reply(202, 'the import starts; SyncStatus and the reported property sync tell how it goes');
  }

  #cancelSync(): MethodReply {
    if (this.#cancel === undefined) return reply(409, 'no import is under way');
    this.#cancel.abort('cancelled');
    return reply(200, 'the import ends after the present batch');
  }

  #redisChanged(): void {
    const failure = this.#failure?.code;
    if (this.#connection.status.state === 'ready' && failure?.startsWith('REDIS_') === true)
      this.#trigger('resume');
    for (const listener of this.#healthListeners) listener();
  }

  #setWaiting(waiting: Waiting | undefined): void {
    this.#waiting = waiting;
    if (waiting !== undefined) {
      this.#log.warn('the import waits', { ...waiting });
      this.#setState('waiting');
    } else if (this.#state === 'waiting') {
      this.#setState(this.#progress.checkpoint?.state === 'running' ? 'running' : 'checking');
    }
  }

  #setState(state: SyncState): void {
    this.#state = state;
    this.#options.metrics?.state(state);
    this.#report(true);
    for (const listener of this.#healthListeners) listener();
  }

  #describe(): JsonObject {
    const { checkpoint, facts } = this.#progress;
    return describe({
      state: this.#state,
      blob: this.#source.name,
      redis: this.#connection.place,
      now: this.#clock.now(),
      settingsVersion: this.#context.settingsVersion(),
      checkpoint,
      facts,
      waiting: this.#waiting,
      failure: this.#failure,
      sas: sasFacts(this.#settings.blobSasToken ?? ''),
      bytesFetched: this.#source.bytesFetched,
      check: this.#source.check,
    });
  }

  #sentence(): string {
    const { checkpoint } = this.#progress;
    const rows =
      checkpoint === undefined ? '' : `, ${checkpoint.rows} rows read, ${checkpoint.written} written`;
    return `${this.#state}${rows}`;
  }

  /** Progress is worth a report now and then, a change of state at once. */
  #report(isChange: boolean): boolean {
    const now = this.#clock.now();
    if (!isChange && now - this.#reportedAt < PROGRESS_MS) return false;
    this.#reportedAt = now;
    this.#context.report('sync', this.#describe());
    return true;
  }
}

function reply(status: number, message: string): MethodReply {
  return { status, payload: { Message: message, Status: status } };
}
