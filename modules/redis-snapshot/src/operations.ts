import {
  RedisConnection,
  SuiteError,
  errorText,
  redisTarget,
  retry,
  systemClock,
} from '@iotedge-redis/common';
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
import { watchArrivals } from './arrival.ts';
import type { Arrived } from './arrival.ts';
import { parseCopyRequest, parseExportRequest, parseImportRequest, parseRunId } from './requests.ts';
import type { RunRequest } from './requests.ts';
import type { Kind, Run, Trigger } from './run.ts';
import { KINDS, isOver } from './run.ts';
import { createFileRunStore, createRedisRunStore } from './run-store.ts';
import { describeRun } from './run-status.ts';
import { Runs } from './runs.ts';
import { Schedule } from './schedule.ts';
import { copyContainer, ownContainer } from './settings.ts';
import type { SnapshotSettings } from './settings.ts';
import { createWorkers } from './workers.ts';
import type { Workers } from './workers.ts';

export interface OperationsOptions {
  readonly clock?: Clock;
  readonly maxPauseMs?: number;
  readonly giveUpAfterMs?: number;
}

type Context = Pick<ModuleContext, 'instance' | 'stateDir' | 'log' | 'report' | 'settingsVersion'>;

/** Progress is worth a report now and then, a change of state at once. */
const PROGRESS_MS = 10_000;
const REOPEN_MS = 5000;

/** Answers the methods, and keeps the runs that they begin. */
export class SnapshotOperations implements Component<SnapshotSettings> {
  readonly name = 'snapshot';
  readonly methods: Readonly<Record<string, MethodHandler>>;
  readonly #context: Context;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #connection: RedisConnection;
  readonly #workers: Workers;
  readonly #runs: Runs;
  readonly #schedule: Schedule;
  readonly #stopping = new AbortController();
  readonly #healthListeners: (() => void)[] = [];
  readonly #reportedAt = new Map<Kind, number>();
  #settings: SnapshotSettings;
  #opening: Promise<void> = Promise.resolve();
  #arrivals: Promise<void> = Promise.resolve();
  #notOpen: string | undefined = 'the runs of an earlier start are not read yet';

  constructor(settings: SnapshotSettings, context: Context, options: OperationsOptions = {}) {
    this.#settings = settings;
    this.#context = context;
    this.#clock = options.clock ?? systemClock;
    const log = (this.#log = context.log.child('snapshot'));
    const target = redisTarget(settings);
    this.#connection = new RedisConnection({ target, name: context.instance, log });
    this.#workers = createWorkers({
      settings: () => this.#settings,
      connection: this.#connection,
      target,
      instance: context.instance,
      stateDir: context.stateDir,
      clock: this.#clock,
      exported: (snapshot) => this.#runs.ended(snapshot),
    });
    const { stateDir } = context;
    this.#runs = new Runs({
      ...options,
      store:
        stateDir === undefined
          ? createRedisRunStore(this.#connection, context.instance)
          : createFileRunStore(stateDir, context.instance),
      workers: this.#workers.workers,
      place: (kind) => this.#place(kind),
      log,
      onChange: (run, isNews) => this.#changed(run, isNews),
      onDone: (run) => this.#copyAfter(run),
    });
    this.#schedule = new Schedule({
      clock: this.#clock,
      intervalMinutes: () => this.#settings.exportIntervalMinutes,
      lastStartedAt: () => this.#runs.last('export')?.startedAt,
      begin: () => this.#scheduled(),
    });
    this.#connection.onStatus(() => this.#healthChanged());
    this.methods = {
      Export: this.#starting('export', parseExportRequest),
      Copy: this.#starting('copy', parseCopyRequest),
      Import: this.#starting('import', parseImportRequest),
      ListSnapshots: async ({ payload }) => this.#workers.list(payload, this.#stopping.signal),
      Operation: ({ payload }) => Promise.resolve(this.#operation(payload)),
      CancelOperation: ({ payload }) => Promise.resolve(this.#cancel(payload)),
    };
  }

  /** Never fails: Redis and the storage may both be away for days, which is a state of a run and no failed start. */
  async start(): Promise<void> {
    await this.#connection.connect(this.#stopping.signal).catch(() => undefined);
    // Whoever asks right after the start hears of what is under way, unless it cannot be read yet.
    await new Promise<void>((attempted) => {
      this.#opening = this.#open(attempted).then(attempted);
    });
  }

  async #open(attempted: () => void): Promise<void> {
    try {
      await retry(() => this.#runs.open(), {
        signal: this.#stopping.signal,
        clock: this.#clock,
        schedule: () => REOPEN_MS,
        onFailure: (error) => {
          this.#notOpen = errorText(error);
          this.#healthChanged();
          attempted();
        },
      });
      this.#notOpen = undefined;
      this.#schedule.start();
      if (this.#settings.importOnArrival !== 'off') this.#arrivals = this.#watchArrivals();
      this.#healthChanged();
    } catch {
      // Stopped before it could be read.
    }
  }

  async stop(signal: AbortSignal): Promise<void> {
    this.#stopping.abort();
    this.#schedule.stop();
    await this.#opening;
    await this.#arrivals;
    await this.#runs.stop();
    await this.#connection.close(signal);
  }

  applyLive(settings: SnapshotSettings): void {
    const before = this.#settings;
    this.#settings = settings;
    const hasNewSas =
      settings.blobSasToken !== before.blobSasToken || settings.copyBlobSasToken !== before.copyBlobSasToken;
    const isOpen = this.#notOpen === undefined;
    if (isOpen && settings.exportIntervalMinutes !== before.exportIntervalMinutes) this.#schedule.start();
    // A run that a refused SAS ended goes on.
    for (const kind of hasNewSas ? KINDS : []) {
      const last = this.#runs.last(kind);
      if (last?.state === 'failed' && last.error?.code.startsWith('SAS_') === true)
        this.#runs.resume(last.id);
    }
  }

  onHealthChange(listener: () => void): void {
    this.#healthListeners.push(listener);
  }

  health(): ComponentHealth {
    const { status, place } = this.#connection;
    const last = KINDS.map((kind) => this.#runs.last(kind)).filter((run) => run !== undefined);
    const data: JsonObject = {
      redis: place,
      connection: status.state,
      ...Object.fromEntries(last.map((run) => [run.kind, run.state])),
    };
    if (status.state !== 'ready')
      return { state: 'down', detail: status.error?.message ?? `not connected to ${place} yet`, data };
    const troubled = last.find((run) => run.state === 'waiting' || run.state === 'failed');
    const detail = this.#notOpen ?? troubled?.error?.message;
    return detail === undefined ? { state: 'ok', data } : { state: 'degraded', detail, data };
  }

  /** One run to its end, for the command line. */
  async once(
    kind: Kind,
    input: JsonObject,
    signal: AbortSignal,
  ): Promise<{ isDone: boolean; result: JsonObject }> {
    const stop = (): void => this.#stopping.abort();
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    await this.#connection.connect(this.#stopping.signal).catch(() => undefined);
    const stopRuns = (): void => void this.#runs.stop();
    this.#stopping.signal.addEventListener('abort', stopRuns, { once: true });
    const begun = this.#runs.begin(kind, input, 'command');
    const run = (await this.#runs.ended(begun.id)) ?? begun;
    await this.#runs.stop();
    await this.#connection.close(signal);
    return { isDone: run.state === 'done', result: describeRun(run, this.#clock.now()) };
  }

  #watchArrivals(): Promise<void> {
    return watchArrivals({
      container: this.#workers.container,
      prefix: () => this.#settings.snapshotPrefix,
      everySeconds: () => this.#settings.arrivalPollSeconds,
      onArrived: (arrived) => this.#arrived(arrived),
      clock: this.#clock,
      log: this.#log,
      signal: this.#stopping.signal,
    });
  }

  /** Imports it unless it was exported here, or an import of it was begun already. */
  #arrived({ snapshot, etag }: Arrived): boolean {
    const { importOnArrival: policy } = this.#settings;
    const isKnown = this.#runs.all.some(
      ({ id, kind, input }) =>
        (kind === 'export' && id === snapshot) ||
        (kind === 'import' && input['snapshot'] === snapshot && input['etag'] === etag),
    );
    if (isKnown || policy === 'off') return true;
    const { status } = this.#begin('import', { input: { snapshot, etag, policy } }, 'arrival');
    return status === 202;
  }

  #scheduled(): void {
    const { status, payload } = this.#begin('export', { input: {} }, 'schedule');
    if (status !== 202) this.#log.warn('the scheduled export does not start', { answer: payload });
  }

  #starting(kind: Kind, parse: (payload: JsonValue) => RunRequest): MethodHandler {
    return ({ payload }) => Promise.resolve(this.#begin(kind, parse(payload), 'method'));
  }

  #begin(kind: Kind, request: RunRequest, trigger: Trigger): MethodReply {
    if ('problem' in request) return reply(400, request.problem);
    if (this.#notOpen !== undefined) return reply(503, this.#notOpen);
    const missing =
      kind === 'copy' && copyContainer(this.#settings) === undefined
        ? 'no container to copy to: set copyStorageAccountName (or copyBlobEndpoint), copyBlobContainerName and copyBlobSasToken (or copyStorageAuth)'
        : undefined;
    if (missing !== undefined) return reply(400, missing);
    try {
      const isOther = 'runId' in request && this.#runs.find(request.runId)?.kind !== kind;
      if (isOther) return reply(404, `there is no ${kind} of this runId`);
      const run =
        'runId' in request
          ? this.#runs.resume(request.runId)
          : this.#runs.begin(kind, this.#pinned(kind, request.input), trigger);
      return reply(202, `the ${kind} starts; Operation and the twin tell how it goes`, { runId: run.id });
    } catch (error) {
      if (error instanceof SuiteError && error.code === 'CONFLICT') {
        const busy = this.#runs.last(kind);
        return reply(409, error.message, busy === undefined ? {} : { runId: busy.id });
      }
      throw error;
    }
  }

  /** The newest snapshot is the one of the export under way: whoever asks for a copy of it means that, and not the one before. */
  #pinned(kind: Kind, input: JsonObject): JsonObject {
    const last = this.#runs.last('export');
    const isNewest = kind === 'copy' && input['snapshot'] === undefined;
    return isNewest && last !== undefined && !isOver(last) ? { ...input, snapshot: last.id } : input;
  }

  #operation(payload: JsonValue): MethodReply {
    const request = parseRunId(payload);
    if ('problem' in request) return reply(400, request.problem);
    const now = this.#clock.now();
    if (request.runId === undefined) {
      const operations = this.#runs.all.map((run) => {
        const { runId, kind, state, startedAt, finishedAt } = describeRun(run, now);
        return {
          runId: runId ?? '',
          kind: kind ?? '',
          state: state ?? '',
          startedAt: startedAt ?? null,
          finishedAt: finishedAt ?? null,
        };
      });
      return reply(200, `${operations.length} runs are known`, { operations });
    }
    const run = this.#runs.find(request.runId);
    if (run === undefined) return reply(404, 'there is no run of this id; the last 20 are kept');
    return reply(200, `${run.kind}: ${run.state}`, describeRun(run, now));
  }

  #cancel(payload: JsonValue): MethodReply {
    const request = parseRunId(payload);
    if ('problem' in request) return reply(400, request.problem);
    const { runId } = request;
    if (runId === undefined) return reply(400, 'expected {"runId": "…"}');
    const run = this.#runs.find(runId);
    if (run === undefined) return reply(404, 'there is no run of this id');
    if (isOver(run) || !this.#runs.cancel(runId)) return reply(409, `the run is ${run.state}`);
    return reply(200, 'the run ends; Operation tells when', { runId });
  }

  #place(kind: Kind): string {
    const own = ownContainer(this.#settings);
    const copy = kind === 'copy' ? copyContainer(this.#settings) : undefined;
    const containers = [own, copy].map((at) => (at === undefined ? '' : `${at.endpoint}/${at.container}`));
    return [...(kind === 'copy' ? [] : [this.#connection.place]), ...containers].join(' ').trim();
  }

  #changed(run: Run, isNews: boolean): void {
    const now = this.#clock.now();
    if (!isNews && now - (this.#reportedAt.get(run.kind) ?? 0) < PROGRESS_MS) return;
    this.#reportedAt.set(run.kind, now);
    this.#context.report(run.kind, { ...describeRun(run, now), av: this.#context.settingsVersion() });
    if (isNews) this.#healthChanged();
  }

  /** Within the change that ends the export, so that both are kept together. */
  #copyAfter({ kind, input, result, id }: Run): void {
    if (kind !== 'export') return;
    const snapshot = result?.['snapshot'];
    if (!(input['copy'] ?? this.#settings.copyAfterExport) || typeof snapshot !== 'string') return;
    const { status, payload } = this.#begin('copy', { input: { snapshot } }, 'export');
    if (status !== 202)
      this.#log.warn('the export is not followed by its copy', { runId: id, answer: payload });
  }

  #healthChanged(): void {
    for (const listener of this.#healthListeners) listener();
  }
}

function reply(status: number, message: string, more: JsonObject = {}): MethodReply {
  return { status, payload: { ...more, Message: message, Status: status } };
}
