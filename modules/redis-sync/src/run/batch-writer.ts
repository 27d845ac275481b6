import { setImmediate } from 'node:timers/promises';
import type { Clock } from '@iotedge-redis/common';
import type { Patience } from '@iotedge-redis/common/blob';
import { advanced, generationOf, newCheckpoint, withRejects } from './checkpoint.ts';
import type { Checkpoint, SyncKeys } from './checkpoint.ts';
import type { ReadBatch } from '../csv/batch-source.ts';
import { packKeys } from '../rows/key-list.ts';
import { Pace } from './pace.ts';
import type { RedisMemory } from './redis-memory.ts';
import type { Outcome, RedisSink, Step } from './redis-sink.ts';
import { RowList } from '../rows/row-list.ts';
import type { Reject } from '../rows/row.ts';
import { RunEnded } from './run-ended.ts';
import type { SyncSettings } from '../settings.ts';

export interface BatchWriterOptions {
  readonly settings: () => SyncSettings;
  readonly keys: SyncKeys;
  readonly sink: RedisSink;
  readonly memory: RedisMemory;
  readonly patience: Patience;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  onCheckpoint(checkpoint: Checkpoint): void;
}

interface Sent extends ReadBatch {
  /** Those of the batch that are written. */
  readonly rows: RowList;
  readonly rejects: readonly Reject[];
}

/** A batch on its way to Redis. */
interface Pending extends Sent {
  readonly planned: Planned;
  /** What became of sending it before the ones before it were known to be there. */
  readonly attempt: Promise<Outcome> | undefined;
  /** False when a batch before it had to be written again after it. */
  isTrusted: boolean;
  settled: Promise<void>;
}

interface Planned {
  readonly next: Checkpoint;
  readonly step: Step;
}

/**
 * Steps on their way at once. Redis needs about a millisecond for one; it must not run out of them while this thread receives
 * or sums up a range of the blob.
 */
const MAX_PENDING = 16;
const MAX_PENDING_BYTES = 4 * 1024 * 1024;
/** While so many are on their way, Redis has enough to do for this thread to make some more before it sends them together. */
const ENOUGH_PENDING = 4;
const MAX_GATHERED = 4;
const RATE_FROM_ROWS = 1000;

/**
 * Brings batches into Redis, each with the checkpoint behind it. Several are on their way at once, each of which takes place
 * only behind the one before it; they are settled in order, and one that did not take place is written anew with care.
 */
export class BatchWriter {
  readonly #options: BatchWriterOptions;
  readonly #pace: Pace;
  /** The checkpoint as it stands in Redis, and its text there. */
  #checkpoint = newCheckpoint('', '', 0);
  #text = '';
  /** The same, once everything that is on its way is there. */
  #planned = this.#checkpoint;
  #plannedText = '';
  #pending: Pending[] = [];
  /** Steps made since they were last let out. */
  #gathered = 0;
  /** Something did not go as planned: nothing more is sent ahead until the rest is settled. */
  #isTroubled = false;

  constructor(options: BatchWriterOptions) {
    this.#options = options;
    this.#pace = new Pace(options.clock, options.signal);
  }

  get checkpoint(): Checkpoint {
    return this.#checkpoint;
  }

  /** Begins a run, over whatever Redis holds. */
  async begin(checkpoint: Checkpoint): Promise<void> {
    const text = JSON.stringify(checkpoint);
    await this.#options.patience.until(() => this.#options.sink.begin(text));
    this.adopt(checkpoint, text);
    this.#options.onCheckpoint(checkpoint);
  }

  /** Goes on from what Redis holds. */
  adopt(checkpoint: Checkpoint, text: string): void {
    this.#pending = [];
    this.#checkpoint = checkpoint;
    this.#text = text;
  }

  /** From one checkpoint to the next without rows; like a batch, only where Redis still holds the one before. */
  async change(checkpoint: Checkpoint): Promise<void> {
    const { sink, patience } = this.#options;
    const after = JSON.stringify(checkpoint);
    const step = { rows: new RowList(), startedAt: 0, before: this.#text, after, extras: [] };
    await patience.until(() => sink.write(step, []));
    this.#advance({ next: checkpoint, step });
  }

  /** Resolves when the next batch may come, which is before this one is in Redis. */
  async push(read: ReadBatch): Promise<void> {
    const { settings, memory, signal } = this.#options;
    const { errorMode, maxRowsPerSecond } = settings();
    const { batch } = read;
    const firstBad = errorMode === 'abort' ? batch.rejects[0] : undefined;
    const rows = firstBad === undefined ? batch.rows : batch.rows.above(firstBad.line);
    const rejects = firstBad === undefined ? batch.rejects : [firstBad];
    while (this.#isFull(rows.commandBytes)) await this.#pending[0]?.settled;
    if (memory.isDue()) await this.#room();
    // Last before sending: what is sent ahead while a step behind which it stands is written anew would come too early.
    if (!this.#isCalm()) await this.drain();
    if (this.#pending.length === 0) this.#replan();
    signal.throwIfAborted();
    this.#send({ ...read, rows, rejects });
    if (firstBad !== undefined) {
      await this.drain();
      throw new RunEnded(
        'BAD_ROW',
        `line ${firstBad.line}: ${firstBad.reason}; nothing after it was imported (errorMode abort)`,
      );
    }
    if (this.#planned.rows >= RATE_FROM_ROWS && this.#isRateExceeded(this.#planned)) {
      await this.drain();
      this.checkRate();
    }
    if (maxRowsPerSecond > 0) await this.#pace.after(rows.length, maxRowsPerSecond);
    this.#gathered += 1;
    if (this.#pending.length > ENOUGH_PENDING && this.#gathered < MAX_GATHERED) return;
    this.#gathered = 0;
    // The commands go out before this thread is busy with the next batch; else Redis would idle meanwhile.
    await setImmediate();
  }

  /** Until everything that was pushed is in Redis. */
  async drain(): Promise<void> {
    await this.#pending.at(-1)?.settled;
  }

  /** Until nothing is on its way any more, whatever becomes of it. */
  async rest(): Promise<void> {
    await Promise.allSettled(this.#pending.map(({ settled }) => settled));
  }

  checkRate(): void {
    const { rows, skipped } = this.#checkpoint;
    if (!this.#isRateExceeded(this.#checkpoint)) return;
    const { maxErrorRate } = this.#options.settings();
    throw new RunEnded(
      'TOO_MANY_ERRORS',
      `${skipped} of ${rows} rows are bad, more than maxErrorRate ${maxErrorRate} allows`,
    );
  }

  #isRateExceeded({ rows, skipped }: Checkpoint): boolean {
    return skipped > this.#options.settings().maxErrorRate * rows;
  }

  #isFull(bytes: number): boolean {
    const waiting = this.#pending;
    if (waiting.length === 0) return false;
    if (waiting.length >= MAX_PENDING) return true;
    return waiting.reduce((sum, { rows }) => sum + rows.commandBytes, bytes) > MAX_PENDING_BYTES;
  }

  /** Sending ahead needs to know what the last step will leave behind. */
  #isCalm(): boolean {
    const last = this.#pending.at(-1);
    const isBroken = last !== undefined && last.attempt === undefined && this.#options.sink.canAttempt;
    return !this.#isTroubled && !isBroken;
  }

  /** Nothing is on its way: the next step builds on what Redis holds. */
  #replan(): void {
    this.#isTroubled = false;
    this.#planned = this.#checkpoint;
    this.#plannedText = this.#text;
  }

  #send(sent: Sent): void {
    const { sink } = this.#options;
    const planned = this.#plan(sent, this.#planned, this.#plannedText);
    this.#planned = planned.next;
    this.#plannedText = planned.step.after;
    const attempt = sink.canAttempt ? sink.attempt(planned.step) : undefined;
    const before = this.#pending.at(-1)?.settled ?? Promise.resolve();
    const pending: Pending = { ...sent, planned, attempt, isTrusted: true, settled: before };
    pending.settled = before.then(() => this.#settle(pending));
    // Whoever awaits it hears of the failure; until then it must not count as unhandled.
    pending.settled.catch(() => undefined);
    this.#pending.push(pending);
  }

  #plan({ batch, format, rows, rejects }: Sent, from: Checkpoint, before: string): Planned {
    const { settings, keys } = this.#options;
    const next = advanced(from, batch, rows, rejects, format);
    const extras =
      settings().mode === 'mirror'
        ? ([[keys.list(generationOf(from), from.lists), packKeys(rows)]] as const)
        : [];
    const { startedAt } = from;
    return { next, step: { rows, startedAt, before, after: JSON.stringify(next), extras } };
  }

  async #settle(pending: Pending): Promise<void> {
    const outcome = await pending.attempt;
    if (outcome === 'applied' && pending.isTrusted) {
      this.#advance(pending.planned);
      // Its replies are here, so nobody reads these bytes any more.
      pending.batch.release();
    } else {
      if (outcome !== undefined) this.#isTroubled = true;
      await this.#writeWithCare(pending, outcome === 'refused');
    }
    this.#pending.shift();
  }

  async #writeWithCare(pending: Pending, isRefused: boolean): Promise<void> {
    const { sink, patience } = this.#options;
    const isAsPlanned = pending.planned.step.before === this.#text;
    const planned = isAsPlanned ? pending.planned : this.#plan(pending, this.#checkpoint, this.#text);
    const behind = this.#pending.slice(1);
    if (isRefused) for (const other of behind) other.isTrusted = false;
    const later = behind.map((other) => other.planned.step.after);
    const { step } = planned;
    const refused = await patience.until(() =>
      isRefused ? sink.writeApart(step, later) : sink.write(step, later),
    );
    this.#advance(planned);
    if (refused.length === 0) return;
    const { next } = planned;
    await this.change(withRejects({ ...next, written: next.written - refused.length }, refused));
  }

  #advance({ next, step }: Planned): void {
    this.#checkpoint = next;
    this.#text = step.after;
    this.#options.onCheckpoint(next);
  }

  /** Other writers of a nearly full Redis must not get the OOM that this import brought about. */
  async #room(): Promise<void> {
    const { memory, patience, settings } = this.#options;
    await patience.while(() => memory.find(settings().maxMemoryPercent), memory.pauseMs);
  }
}
