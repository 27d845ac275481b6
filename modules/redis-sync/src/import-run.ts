import { setImmediate } from 'node:timers/promises';
import { SuiteError, sleep } from '@iotedge-redis/common';
import type { Clock, Log } from '@iotedge-redis/common';
import type { BlobFacts, BlobSource, Patience } from '@iotedge-redis/common/blob';
import { BlobError, readBlocks } from '@iotedge-redis/common/blob';
import { MAX_ERRORS, newCheckpoint, parseCheckpoint } from './checkpoint.ts';
import type { Checkpoint } from './checkpoint.ts';
import { CsvReader } from './csv-reader.ts';
import type { Batch } from './csv-reader.ts';
import { packKeys } from './key-list.ts';
import type { Format } from './format.ts';
import type { Mirror } from './mirror.ts';
import type { RedisMemory } from './redis-memory.ts';
import { CheckpointLost } from './redis-sink.ts';
import type { EncodedRows, RedisSink } from './redis-sink.ts';
import type { Reject } from './row.ts';
import type { RunPlan } from './run-plan.ts';
import type { SyncSettings } from './settings.ts';
import type { SyncKeys } from './checkpoint.ts';

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

const BATCH_BYTES = 1024 * 1024;
const RATE_FROM_ROWS = 1000;

/** A bad file or a guard ended the run: it is over, and the same file would end in the same way. */
class RunEnded extends SuiteError {
  readonly outcome: string;

  constructor(outcome: string, message: string) {
    super('DATA_INVALID', message);
    this.outcome = outcome;
  }
}

/** One import: from the question whether there is anything to do to the completion mark. */
export class ImportRun {
  readonly #options: ImportOptions;
  #facts: BlobFacts | undefined;
  #checkpoint = newCheckpoint('', '', 0);
  /** The checkpoint as it stands in Redis. */
  #text = '';
  /** The batch that is on its way to Redis. */
  #inFlight: Promise<void> = Promise.resolve();
  #paceFrom = 0;
  #paceRows = 0;

  constructor(options: ImportOptions) {
    this.#options = options;
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
      this.#text = text ?? '';
      await this.#change({
        ...held,
        state: held.state === 'sweeping' ? 'sweeping' : 'running',
        resumes: held.resumes + 1,
        code: null,
        message: null,
      });
      return true;
    }
    log.info('import starts', { etag: facts.etag, bytes: facts.length });
    await this.#begin(newCheckpoint(run, facts.etag, clock.now()));
    return true;
  }

  async #import(facts: BlobFacts): Promise<void> {
    const { settings, mirror, patience } = this.#options;
    const { errorMode, mode } = settings();
    this.#paceFrom = this.#options.clock.now();
    this.#paceRows = 0;
    this.#inFlight = Promise.resolve();
    if (this.#checkpoint.state !== 'sweeping') {
      if (errorMode === 'validateFirst' && !this.#checkpoint.isValidated) await this.#validate(facts);
      if (mode === 'mirror') await patience.until(() => mirror.begin(this.#generation()));
      await this.#read(facts, this.#checkpoint, (batch, reader) => this.#write(batch, reader));
      this.#checkRate(true);
    }
    if (mode === 'mirror') await this.#sweep();
    else await this.#end('done');
  }

  #generation(): string {
    return `${this.#checkpoint.run}-${this.#checkpoint.startedAt.toString(36)}`;
  }

  /** Reads the whole file without writing: the first bad row keeps all of it out. */
  async #validate(facts: BlobFacts): Promise<void> {
    let rows = 0;
    const start = newCheckpoint(this.#checkpoint.run, facts.etag, this.#checkpoint.startedAt);
    const errors: Reject[] = [];
    let skipped = 0;
    await this.#read(facts, start, (batch) => {
      rows += batch.rows.length + batch.rejects.length;
      skipped += batch.rejects.length;
      errors.push(...batch.rejects.slice(0, MAX_ERRORS - errors.length));
      return Promise.resolve();
    });
    if (skipped > 0) {
      this.#checkpoint = { ...this.#checkpoint, rows, skipped, errors };
      throw new RunEnded(
        'BAD_ROWS',
        `${skipped} of ${rows} rows are bad, so none was imported (errorMode validateFirst)`,
      );
    }
    await this.#change({ ...this.#checkpoint, isValidated: true });
  }

  async #read(
    facts: BlobFacts,
    from: Checkpoint,
    use: (batch: Batch, reader: CsvReader) => Promise<void>,
  ): Promise<void> {
    const { source, patience, plan } = this.#options;
    const settings = this.#options.settings();
    const stop = new AbortController();
    const signal = AbortSignal.any([this.#options.signal, stop.signal]);
    const { format, offset, line } = from;
    const reader = new CsvReader({
      ...settings,
      batchBytes: BATCH_BYTES,
      ...(format === undefined ? {} : { resume: { format, offset, line } }),
    });
    const blocks = readBlocks({
      facts,
      offset: format === undefined ? 0 : offset,
      isGzip:
        plan.place.blob.toLowerCase().endsWith('.gz') || facts.contentEncoding?.toLowerCase() === 'gzip',
      name: source.name,
      signal,
      fetch: (range) => patience.until(() => source.fill(range, signal)),
    });
    const drain = async (): Promise<void> => {
      for (let batch = reader.take(); batch !== undefined; batch = reader.take()) await use(batch, reader);
    };
    try {
      for await (const block of blocks) {
        refuse(reader.append(block));
        await drain();
      }
      refuse(reader.finish());
      await drain();
    } finally {
      stop.abort();
      await this.#settled();
    }
    await this.#inFlight;
  }

  /** Takes a batch while Redis is still at work on the one before: there is never more than one on its way. */
  async #write(batch: Batch, reader: CsvReader): Promise<void> {
    const { settings, sink } = this.#options;
    const firstBad = settings().errorMode === 'abort' ? batch.rejects[0] : undefined;
    const rows = firstBad === undefined ? batch.rows : batch.rows.filter(({ line }) => line < firstBad.line);
    const encoded = sink.encode(rows, this.#checkpoint.startedAt);
    const { format } = reader;
    await this.#inFlight;
    this.#inFlight = this.#apply(batch, encoded, format, firstBad);
    // Whoever awaits it hears of the failure; until then it must not count as unhandled.
    this.#inFlight.catch(() => undefined);
    // The commands go out before this thread is busy with the next batch; else Redis would idle meanwhile.
    await setImmediate();
  }

  async #settled(): Promise<void> {
    await Promise.allSettled([this.#inFlight]);
  }

  async #apply(
    batch: Batch,
    encoded: EncodedRows,
    format: Format | undefined,
    firstBad: Reject | undefined,
  ): Promise<void> {
    const { settings, sink, keys, patience, signal } = this.#options;
    signal.throwIfAborted();
    const { rows } = encoded;
    const before = this.#checkpoint;
    let next = advanced(before, batch, rows, firstBad === undefined ? batch.rejects : [firstBad], format);
    const text = JSON.stringify(next);
    const extras =
      settings().mode === 'mirror'
        ? ([[keys.list(this.#generation(), before.lists), packKeys(rows)]] as const)
        : [];
    await this.#room();
    const refused = await patience.until(() =>
      sink.write({ encoded, startedAt: before.startedAt, before: this.#text, after: text, extras }),
    );
    this.#text = text;
    if (refused.length > 0) {
      next = withRejects({ ...next, written: next.written - refused.length }, refused);
      await this.#change(next);
    }
    this.#checkpoint = next;
    this.#report();
    if (firstBad !== undefined) {
      throw new RunEnded(
        'BAD_ROW',
        `line ${firstBad.line}: ${firstBad.reason}; nothing after it was imported (errorMode abort)`,
      );
    }
    this.#checkRate(false);
    await this.#pace(rows.length);
  }

  #checkRate(isEnd: boolean): void {
    const { maxErrorRate } = this.#options.settings();
    const { rows, skipped } = this.#checkpoint;
    if ((!isEnd && rows < RATE_FROM_ROWS) || skipped <= maxErrorRate * rows) return;
    throw new RunEnded(
      'TOO_MANY_ERRORS',
      `${skipped} of ${rows} rows are bad, more than maxErrorRate ${maxErrorRate} allows`,
    );
  }

  async #sweep(): Promise<void> {
    const { mirror, patience, signal, settings } = this.#options;
    const alive = (): Promise<void> => {
      signal.throwIfAborted();
      return Promise.resolve();
    };
    if (this.#checkpoint.skipped > 0) {
      // A bad row may stand for a key that is to stay.
      await patience.until(() => mirror.keep(this.#generation(), alive));
      await this.#end(
        'done',
        'MIRROR_SKIPPED',
        'rows were skipped, so the mirror deleted nothing; correct them first',
      );
      return;
    }
    await this.#change({ ...this.#checkpoint, state: 'sweeping' });
    const { maxDeletePercent } = settings();
    const outcome = await patience.until(() => mirror.sweep(this.#generation(), maxDeletePercent, alive));
    if (!outcome.isAllowed) {
      const { absent, owned } = outcome;
      await this.#end(
        'failed',
        'DELETE_GUARD',
        `${absent} of ${owned} keys are gone from the file, more than maxDeletePercent ${maxDeletePercent} allows; all rows are written, none of these keys is deleted`,
      );
      return;
    }
    this.#checkpoint = { ...this.#checkpoint, deleted: this.#checkpoint.deleted + outcome.absent };
    await this.#end('done');
  }

  async #end(
    state: 'done' | 'failed' | 'cancelled',
    code: string | null = null,
    message: string | null = null,
  ): Promise<void> {
    await this.#change({ ...this.#checkpoint, state, finishedAt: this.#options.clock.now(), code, message });
  }

  /** From one checkpoint to the next without rows; like a batch, only where Redis still holds the one before. */
  async #change(checkpoint: Checkpoint): Promise<void> {
    const { sink, patience } = this.#options;
    const after = JSON.stringify(checkpoint);
    const encoded = sink.encode([], 0);
    await patience.until(() => sink.write({ encoded, startedAt: 0, before: this.#text, after, extras: [] }));
    this.#text = after;
    this.#checkpoint = checkpoint;
    this.#report();
  }

  async #begin(checkpoint: Checkpoint): Promise<void> {
    const { sink, patience } = this.#options;
    const text = JSON.stringify(checkpoint);
    await patience.until(() => sink.begin(text));
    this.#text = text;
    this.#checkpoint = checkpoint;
    this.#report();
  }

  #report(): void {
    if (this.#facts !== undefined)
      this.#options.onProgress({ checkpoint: this.#checkpoint, facts: this.#facts });
  }

  /** Other writers of a nearly full Redis must not get the OOM that this import brought about. */
  async #room(): Promise<void> {
    const { memory, patience, settings } = this.#options;
    if (!memory.isDue()) return;
    await patience.while(() => memory.find(settings().maxMemoryPercent), memory.pauseMs);
  }

  async #pace(rows: number): Promise<void> {
    const { settings, clock, signal } = this.#options;
    const { maxRowsPerSecond } = settings();
    if (maxRowsPerSecond === 0) return;
    this.#paceRows += rows;
    const aheadMs = (this.#paceRows / maxRowsPerSecond) * 1000 - (clock.now() - this.#paceFrom);
    if (aheadMs > 0) await sleep(aheadMs, signal, clock);
    // What was lost while waiting is not caught up in one rush.
    if (aheadMs < -1000) {
      this.#paceFrom = clock.now();
      this.#paceRows = 0;
    }
  }
}

function refuse(result: { readonly problem: string } | undefined): void {
  if (result !== undefined) throw new RunEnded('FORMAT_REFUSED', result.problem);
}

function advanced(
  before: Checkpoint,
  batch: Batch,
  rows: Batch['rows'],
  rejects: readonly Reject[],
  format: Format | undefined,
): Checkpoint {
  let deleted = 0;
  for (const { op } of rows) if (op === 'del') deleted += 1;
  return withRejects(
    {
      ...before,
      offset: batch.offset,
      line: batch.nextLine,
      ...(format === undefined ? {} : { format }),
      rows: before.rows + rows.length + rejects.length,
      written: before.written + rows.length - deleted,
      deleted: before.deleted + deleted,
      lists: before.lists + 1,
    },
    rejects,
  );
}

function withRejects(checkpoint: Checkpoint, rejects: readonly Reject[]): Checkpoint {
  if (rejects.length === 0) return checkpoint;
  const room = MAX_ERRORS - checkpoint.errors.length;
  return {
    ...checkpoint,
    skipped: checkpoint.skipped + rejects.length,
    errors: room > 0 ? [...checkpoint.errors, ...rejects.slice(0, room)] : checkpoint.errors,
  };
}
