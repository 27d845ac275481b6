import type { Clock, Log } from '@iotedge-redis/common';
import type { BlobFacts, BlobSource, Patience } from '@iotedge-redis/common/blob';
import { BlobError } from '@iotedge-redis/common/blob';
import { readBatches } from '../csv/batch-source.ts';
import type { ReadBatch } from '../csv/batch-source.ts';
import { BatchWriter } from './batch-writer.ts';
import { MAX_ERRORS, generationOf, newCheckpoint, parseCheckpoint } from './checkpoint.ts';
import type { Checkpoint, SweepOutcome, SyncKeys } from './checkpoint.ts';
import type { Mirror } from './mirror.ts';
import type { RedisMemory } from './redis-memory.ts';
import { CheckpointLost } from './redis-sink.ts';
import type { RedisSink } from './redis-sink.ts';
import type { Reject } from '../rows/row.ts';
import { RunEnded } from './run-ended.ts';
import type { RunPlan } from './run-plan.ts';
import type { SyncSettings } from '../settings.ts';

export interface RunProgress {
  readonly checkpoint: Checkpoint;
  readonly facts: BlobFacts;
}

export interface ImportOptions {
  readonly settings: () => SyncSettings;
  readonly plan: RunPlan;
  readonly keys: SyncKeys;
  readonly source: BlobSource;
  readonly sink: RedisSink;
  readonly mirror: Mirror;
  readonly memory: RedisMemory;
  readonly patience: Patience;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  onProgress(progress: RunProgress): void;
}

/** How a run is started: `new` always begins one, `resume` also takes up one that was cancelled. */
export type Trigger = 'check' | 'resume' | 'new';

/** One import: from the question whether there is anything to do to the completion mark. */
export class ImportRun {
  readonly #options: ImportOptions;
  readonly #writer: BatchWriter;
  #facts: BlobFacts | undefined;
  /** What is reported; while batches are on their way, what is in Redis. */
  #checkpoint = newCheckpoint('', '', 0);

  constructor(options: ImportOptions) {
    this.#options = options;
    this.#writer = new BatchWriter({
      ...options,
      onCheckpoint: (checkpoint) => this.#progressed(checkpoint),
    });
  }

  /** Resolves with the last checkpoint, of this run or of the finished one that left nothing to do. */
  async run(trigger: Trigger): Promise<RunProgress & { readonly isNew: boolean }> {
    const { source, patience, signal, log } = this.#options;
    let isNew = trigger === 'new';
    let cause: Trigger = trigger;
    for (;;) {
      const facts = await patience.until(() => source.head(signal));
      this.#facts = facts;
      try {
        const hasWork = await this.#prepare(facts, cause);
        if (hasWork) {
          isNew = true;
          await this.#import(facts);
        }
        return { checkpoint: this.#checkpoint, facts, isNew };
      } catch (error) {
        // From here on it is the same run, whatever began it.
        cause = 'resume';
        if (error instanceof BlobError && error.reason === 'BLOB_CHANGED') {
          log.warn('the blob was replaced during the import; it starts again with the new version', {
            etag: facts.etag,
          });
        } else if (error instanceof CheckpointLost) {
          log.warn('Redis lost what this run had written; it goes on from what Redis holds', {
            row: this.#checkpoint.rows,
          });
        } else if (error instanceof RunEnded) {
          await this.#end('failed', error.outcome, error.message);
          return { checkpoint: this.#checkpoint, facts, isNew: true };
        } else throw error;
      }
    }
  }

  /** Decides by what Redis holds whether to begin, to go on, or to do nothing. */
  async #prepare(facts: BlobFacts, trigger: Trigger): Promise<boolean> {
    const { plan, sink, patience, clock, log } = this.#options;
    const text = await patience.until(() => sink.load());
    const held = parseCheckpoint(text);
    const run = plan.run(facts.etag);
    const isSame = held?.run === run;
    if (isSame && trigger !== 'new') {
      const isOver = held.state === 'done' || held.state === 'failed';
      if (isOver || (held.state === 'cancelled' && trigger === 'check')) {
        this.#checkpoint = held;
        return false;
      }
      log.info('import resumes', { etag: facts.etag, row: held.rows, offset: held.offset });
      this.#writer.adopt(held, text ?? '');
      await this.#writer.change({
        ...held,
        state: held.state === 'sweeping' ? 'sweeping' : 'running',
        resumes: held.resumes + 1,
        code: null,
        message: null,
      });
      return true;
    }
    log.info('import starts', { etag: facts.etag, bytes: facts.length });
    await this.#writer.begin(newCheckpoint(run, facts.etag, clock.now()));
    return true;
  }

  async #import(facts: BlobFacts): Promise<void> {
    const { settings, mirror, patience } = this.#options;
    const { errorMode, mode } = settings();
    if (this.#checkpoint.state !== 'sweeping') {
      if (errorMode === 'validateFirst' && !this.#checkpoint.isValidated) await this.#validate(facts);
      if (mode === 'mirror') await patience.until(() => mirror.begin(generationOf(this.#checkpoint)));
      await this.#write(facts);
    }
    if (mode === 'mirror') await this.#sweep();
    else await this.#end('done');
  }

  /** Reads the whole file without writing: the first bad row keeps all of it out. */
  async #validate(facts: BlobFacts): Promise<void> {
    let rows = 0;
    let skipped = 0;
    const errors: Reject[] = [];
    for await (const batches of this.#read(facts, { offset: 0, line: 1 })) {
      for (const { batch } of batches) {
        rows += batch.rows.length + batch.rejects.length;
        skipped += batch.rejects.length;
        errors.push(...batch.rejects.slice(0, MAX_ERRORS - errors.length));
      }
    }
    if (skipped > 0) {
      this.#checkpoint = { ...this.#checkpoint, rows, skipped, errors };
      throw new RunEnded(
        'BAD_ROWS',
        `${skipped} of ${rows} rows are bad, so none was imported (errorMode validateFirst)`,
      );
    }
    await this.#writer.change({ ...this.#checkpoint, isValidated: true });
  }

  async #write(facts: BlobFacts): Promise<void> {
    const writer = this.#writer;
    try {
      for await (const batches of this.#read(facts, this.#checkpoint)) {
        for (const read of batches) await writer.push(read);
      }
      await writer.drain();
    } finally {
      await writer.rest();
    }
    writer.checkRate();
  }

  #read(
    facts: BlobFacts,
    from: Pick<Checkpoint, 'format' | 'offset' | 'line'>,
  ): AsyncGenerator<Iterable<ReadBatch>> {
    const { settings, source, patience, signal } = this.#options;
    return readBatches({ settings: settings(), facts, source, patience, signal, from });
  }

  async #sweep(): Promise<void> {
    const { mirror, patience, signal, settings } = this.#options;
    const generation = generationOf(this.#checkpoint);
    const alive = (): Promise<void> => {
      signal.throwIfAborted();
      return Promise.resolve();
    };
    if (this.#checkpoint.skipped > 0) {
      // A bad row may stand for a key that is to stay.
      await patience.until(() => mirror.keep(generation, alive));
      await this.#end(
        'done',
        'MIRROR_SKIPPED',
        'rows were skipped, so the mirror deleted nothing; correct them first',
      );
      return;
    }
    const { isAllowed, absent, owned } = this.#checkpoint.swept ?? (await this.#delete(generation, alive));
    if (isAllowed) {
      await patience.until(() => mirror.forget(generation));
      await this.#end('done');
      return;
    }
    await patience.until(() => mirror.keep(generation, alive));
    const { maxDeletePercent } = settings();
    await this.#end(
      'failed',
      'DELETE_GUARD',
      `${absent} of ${owned} keys are gone from the file, more than maxDeletePercent ${maxDeletePercent} allows; all rows are written, none of these keys is deleted`,
    );
  }

  /** Deletes what is gone from the file, and keeps how much it was before the lists go that tell it. */
  async #delete(generation: string, alive: () => Promise<void>): Promise<SweepOutcome> {
    const { mirror, patience, settings } = this.#options;
    await this.#writer.change({ ...this.#checkpoint, state: 'sweeping' });
    const { maxDeletePercent } = settings();
    const swept = await patience.until(() => mirror.sweep(generation, maxDeletePercent, alive));
    const deleted = this.#checkpoint.deleted + (swept.isAllowed ? swept.absent : 0);
    await this.#writer.change({ ...this.#checkpoint, deleted, swept });
    return swept;
  }

  async #end(
    state: 'done' | 'failed' | 'cancelled',
    code: string | null = null,
    message: string | null = null,
  ): Promise<void> {
    const finishedAt = this.#options.clock.now();
    await this.#writer.change({ ...this.#checkpoint, state, finishedAt, code, message });
  }

  #progressed(checkpoint: Checkpoint): void {
    this.#checkpoint = checkpoint;
    if (this.#facts !== undefined) this.#options.onProgress({ checkpoint, facts: this.#facts });
  }
}
