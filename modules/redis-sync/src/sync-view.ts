import type { Clock, JsonObject, Log, ModuleContext } from '@iotedge-redis/common';
import { sasFacts } from '@iotedge-redis/common/blob';
import type { BlobSource, Waiting } from '@iotedge-redis/common/blob';
import type { RunProgress } from './run/import-run.ts';
import { describe } from './sync-status.ts';
import type { SyncMetrics } from './sync-metrics.ts';
import type { SyncState } from './sync-status.ts';

export interface SyncViewOptions {
  readonly context: Pick<ModuleContext, 'report' | 'settingsVersion'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: SyncMetrics | undefined;
  readonly source: Pick<BlobSource, 'name' | 'bytesFetched' | 'check'>;
  /** Where Redis is, for texts. */
  readonly redis: string;
  readonly sas: () => string;
  readonly onHealthChange: () => void;
}

const PROGRESS_MS = 10_000;

/** Where the import stands, and everybody who is told: reported property, log, metrics, health. */
export class SyncView {
  readonly #options: SyncViewOptions;
  #state: SyncState = 'idle';
  #progress: Partial<RunProgress> = {};
  #waiting: Waiting | undefined;
  #failure: Waiting | undefined;
  #reportedAt = 0;

  constructor(options: SyncViewOptions) {
    this.#options = options;
  }

  get state(): SyncState {
    return this.#state;
  }

  get progress(): Partial<RunProgress> {
    return this.#progress;
  }

  get waiting(): Waiting | undefined {
    return this.#waiting;
  }

  get failure(): Waiting | undefined {
    return this.#failure;
  }

  checking(): void {
    this.#failure = undefined;
    this.enter('checking');
  }

  enter(state: SyncState): void {
    this.#state = state;
    this.#options.metrics?.state(state);
    this.report();
    this.#options.onHealthChange();
  }

  failed(failure: Waiting): void {
    this.#failure = failure;
    this.#options.metrics?.ended('failed');
    this.enter('failed');
    this.#options.log.error('import failed', { ...failure });
  }

  set(progress: Partial<RunProgress>): void {
    this.#progress = progress;
  }

  /** One batch further: worth a report and a line now and then. */
  progressed(progress: RunProgress): void {
    const { metrics, source, clock, log } = this.#options;
    metrics?.progress(progress.checkpoint, source.bytesFetched);
    this.#progress = progress;
    if (this.#state === 'checking') this.enter('running');
    if (clock.now() - this.#reportedAt < PROGRESS_MS) return;
    this.report();
    const { rows, written, skipped, deleted, offset } = progress.checkpoint;
    log.info('import goes on', { rows, written, skipped, deleted, offset, of: progress.facts.length });
  }

  waits(waiting: Waiting | undefined): void {
    this.#waiting = waiting;
    if (waiting !== undefined) {
      this.#options.log.warn('the import waits', { ...waiting });
      this.enter('waiting');
    } else if (this.#state === 'waiting') {
      this.enter(this.#progress.checkpoint?.state === 'running' ? 'running' : 'checking');
    }
  }

  /** The run is over, whatever its end. */
  over(): void {
    this.#waiting = undefined;
    this.report();
  }

  /** The end that the checkpoint tells of; news only when this run brought it about. */
  ended(isNews: boolean): void {
    const { checkpoint } = this.#progress;
    const state = checkpoint?.state;
    this.enter(state === 'failed' ? 'failed' : state === 'cancelled' ? 'cancelled' : 'done');
    if (!isNews || checkpoint === undefined) return;
    const { log, metrics } = this.#options;
    const { rows, written, skipped, deleted, code, message, errors, etag } = checkpoint;
    const fields = { rows, written, skipped, deleted, etag, ...(code === null ? {} : { code, message }) };
    metrics?.ended(state === 'failed' ? 'failed' : 'done');
    if (state === 'failed') log.error('import ended without success', { ...fields, errors });
    else if (skipped > 0) log.warn('import done; some rows were skipped', { ...fields, errors });
    else log.info('import done', fields);
  }

  report(): void {
    this.#reportedAt = this.#options.clock.now();
    this.#options.context.report('sync', this.describe());
  }

  describe(): JsonObject {
    const { context, clock, source, redis, sas } = this.#options;
    const { checkpoint, facts } = this.#progress;
    return describe({
      state: this.#state,
      blob: source.name,
      redis,
      now: clock.now(),
      settingsVersion: context.settingsVersion(),
      checkpoint,
      facts,
      waiting: this.#waiting,
      failure: this.#failure,
      sas: sasFacts(sas()),
      bytesFetched: source.bytesFetched,
      check: source.check,
    });
  }

  sentence(): string {
    const { checkpoint } = this.#progress;
    const rows =
      checkpoint === undefined ? '' : `, ${checkpoint.rows} rows read, ${checkpoint.written} written`;
    return `${this.#state}${rows}`;
  }
}
