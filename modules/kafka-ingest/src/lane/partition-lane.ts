import type { Log } from '@iotedge-redis/common';
import { errorText, exponential, SuiteError } from '@iotedge-redis/common';
import { Backlog, FAULT_LIMIT } from './backlog.ts';
import type { BacklogOptions } from './backlog.ts';
import type { EncodedCall } from '../apply/call.ts';
import { FetchSequence } from './fetch-sequence.ts';
import type { Gate } from './gate.ts';
import type { Counters } from './lane-counters.ts';
import { LaneStanding } from './lane-standing.ts';
import type { PartitionKeys } from '../apply/positions.ts';
import type { FetchedBatch, TopicPartition } from '../record.ts';
import type { Applied, RedisSink } from '../apply/redis-sink.ts';
import { refusalOf } from '../apply/refusal.ts';
import { WaitPoint } from './wait-point.ts';

const RETRY_FIRST_MS = 50;
const RETRY_MAX_MS = 5000;
const HELD_FIRST_MS = 5000;
const HELD_MAX_MS = 60_000;

export interface LaneOptions extends TopicPartition, BacklogOptions {
  readonly sink: RedisSink;
  readonly gate: Gate;
  /** Waits until so many records may be applied. */
  readonly admit: (records: number) => Promise<void>;
  readonly totals: Counters;
  readonly log: Log;
  /** Redis or Kafka stands elsewhere than the lane thought: the position has to be looked up. */
  readonly onLost: (lane: PartitionLane, why: string) => void;
  readonly onChange: () => void;
}

/** Applies the batches of one partition, in order, one call under way at a time, the next one encoded meanwhile. */
export class PartitionLane implements TopicPartition {
  readonly topic: string;
  readonly partition: number;
  readonly keys: PartitionKeys;
  readonly standing: LaneStanding;
  readonly #options: LaneOptions;
  readonly #backlog: Backlog;
  readonly #sequence = new FetchSequence();
  readonly #waiting: WaitPoint;
  /** Changes whenever what is queued stops being valid. */
  #epoch = 0;
  #isFlowing = false;
  #isEnded = false;
  #high: number | undefined;
  /** Redis refuses for now: what is tried next waits so long. */
  #waitMs = 0;
  #work: Promise<void> | undefined;

  constructor(options: LaneOptions) {
    this.#options = options;
    this.topic = options.topic;
    this.partition = options.partition;
    this.keys = options.keys;
    const { topic, partition, clock, log, totals, onChange } = options;
    this.standing = new LaneStanding({ place: { topic, partition }, totals, clock, log, onChange });
    this.#backlog = new Backlog(options);
    this.#waiting = new WaitPoint(clock);
  }

  /** First offset not applied; undefined before the position is known. */
  get next(): number | undefined {
    return this.#isFlowing ? this.#backlog.next : undefined;
  }

  /** Records between the position and the end of the partition, as of the last fetch. */
  get lag(): number | undefined {
    return this.#high === undefined || !this.#isFlowing
      ? undefined
      : Math.max(0, this.#high - this.#backlog.next);
  }

  get queued(): number {
    return this.#backlog.records;
  }

  /** The last fetched record showed that the topic was made anew since the position was written. */
  get isRecreated(): boolean {
    return this.#sequence.isRecreated;
  }

  get isFlowing(): boolean {
    return this.#isFlowing;
  }

  noteHigh(high: number): void {
    this.#high = high;
  }

  /** Nothing is taken until `flow` says where to go on. */
  halt(): void {
    this.#epoch += 1;
    this.#isFlowing = false;
    this.#sequence.end();
    this.#backlog.clear();
    this.#waiting.wake();
  }

  /** The position is known. Answers where to fetch from. */
  flow(next: number, timestamp: string | undefined, low: number): number {
    this.#epoch += 1;
    this.#backlog.begin(next);
    this.#isFlowing = true;
    this.standing.reset();
    this.#work = this.#loop(this.#epoch, this.#work);
    return this.#sequence.begin(next, timestamp, low);
  }

  /** Tries again what it was held for. */
  release(): void {
    this.standing.release();
    this.#backlog.forgive();
    this.#waiting.wake();
  }

  /**
   * Takes a batch if it is the one that comes next, else says nothing. The promise tells when another one is wanted; false
   * when this one was thrown away.
   */
  accept(batch: FetchedBatch): Promise<boolean> | undefined {
    if (!this.#isFlowing) return undefined;
    const problem = this.#sequence.take(batch);
    if (problem !== undefined) {
      this.#lost(problem);
      return undefined;
    }
    this.#high = batch.high;
    const taken = this.#backlog.add(batch);
    this.#waiting.wake();
    return taken;
  }

  /** Kafka went over offsets that hold no records for us: markers of transactions, records that were aborted. */
  skipped(first: number | undefined, end: number): void {
    if (!this.#isFlowing) return;
    // Only what is known to come next moves the position; anything else waits for the batch behind it.
    if (!this.#sequence.skip(first, end) || end <= this.#backlog.next) return;
    const { topic, partition } = this;
    void this.#backlog.add({ topic, partition, from: first, records: [], end, high: this.#high ?? end });
    this.#waiting.wake();
  }

  /** The call under way ends, nothing more is begun. */
  async end(): Promise<void> {
    this.#isEnded = true;
    this.#epoch += 1;
    this.#backlog.clear();
    this.#waiting.wake();
    await this.#work;
    this.standing.end();
  }

  async #loop(epoch: number, before: Promise<void> | undefined): Promise<void> {
    await before;
    let prepared: EncodedCall | undefined;
    while (epoch === this.#epoch && !this.#isEnded) {
      try {
        const call = prepared ?? (await this.#nextCall(epoch));
        prepared = undefined;
        if (call === undefined) continue;
        await this.#options.admit(call.records);
        // Last of all: what is paused meanwhile begins nothing.
        await this.#options.gate.pass();
        if (epoch !== this.#epoch) return;
        const sent = this.#send(call, epoch);
        // What was written goes out at the end of this turn: Redis works while the next call is made.
        await new Promise<void>((resolve) => setImmediate(resolve));
        const following = this.#encode(call);
        const applied = await sent;
        if (applied === undefined || epoch !== this.#epoch) return;
        if (applied.kind === 'done') this.standing.recover();
        if (this.#settle(call, applied)) prepared = following;
        this.#backlog.reuse(call);
        if (this.#waitMs > 0) await this.#waiting.wait(this.#waitMs);
        this.#waitMs = 0;
      } catch (error) {
        // A mistake of this program must neither lose a record nor end the others' work.
        this.#options.log.error('applying records failed', {
          topic: this.topic,
          partition: this.partition,
          error: errorText(error),
        });
        this.standing.inTrouble(errorText(error));
        await this.#waiting.wait(RETRY_MAX_MS);
      }
    }
  }

  /** A call of what is queued; waits for something to be queued, and while the lane is held. */
  async #nextCall(epoch: number): Promise<EncodedCall | undefined> {
    for (let probes = 1; this.standing.isHeld && epoch === this.#epoch; probes += 1) {
      const schedule = exponential({ firstMs: HELD_FIRST_MS, maxMs: HELD_MAX_MS, random: () => 1 });
      await this.#waiting.wait(schedule(probes));
      const kind = this.standing.holdKind;
      const probe = kind === undefined ? undefined : this.#encode(undefined, kind === 'faults');
      if (probe !== undefined) return probe;
    }
    if (epoch !== this.#epoch) return undefined;
    const call = this.#encode();
    if (call === undefined && !this.standing.isHeld) await this.#waiting.wait();
    return call;
  }

  /** The call that follows the given one, or the first. */
  #encode(after?: EncodedCall, isProbe = false): EncodedCall | undefined {
    const call = this.#backlog.call(after, isProbe);
    if (call === undefined || !('blocked' in call)) return call;
    // Behind a call under way it is met again, as the first.
    if (after === undefined && !this.standing.isHeld)
      this.standing.hold('policy', `offset ${call.blocked.offset}: ${call.fault.reason} (onError is stop)`);
    return undefined;
  }

  /** Sends a call until Redis takes it; nothing when the lane has moved on meanwhile. */
  async #send(call: EncodedCall, epoch: number): Promise<Applied | undefined> {
    const schedule = exponential({ firstMs: RETRY_FIRST_MS, maxMs: RETRY_MAX_MS });
    for (let failures = 1; ; failures += 1) {
      try {
        return await this.#options.sink.apply(call);
      } catch (error) {
        this.standing.inTrouble(errorText(error));
        const isPassing = error instanceof SuiteError && error.retryable;
        await this.#waiting.wait(isPassing ? schedule(failures) : RETRY_MAX_MS);
        await this.#options.gate.pass();
        if (epoch !== this.#epoch) return undefined;
        this.standing.count('retried', 1);
      }
    }
  }

  /** True when the call prepared meanwhile is the one that comes next. */
  #settle(call: EncodedCall, applied: Applied): boolean {
    if (applied.kind === 'elsewhere') {
      // The call went through before, and its answer was lost.
      if (applied.next === call.next) return this.#done(call, 0, call.dead);
      this.standing.count('repositioned', 1);
      const where = applied.next === undefined ? 'without a position' : `at ${applied.next}`;
      this.#lost(`Redis stands ${where} instead of at ${call.from}`);
      return false;
    }
    if (applied.kind === 'done') return this.#done(call, applied.suppressed, applied.dead);
    const { next, index, suppressed, dead } = applied;
    this.standing.count('applied', index - dead);
    this.standing.count('suppressed', suppressed);
    this.standing.count('deadLettered', dead);
    this.#backlog.advance(next, index > dead ? 0 : this.#backlog.faultRun);
    if (applied.kind === 'refused') this.#refused(String(next), applied.error);
    else this.standing.hold('full', 'the dead-letter stream is full; replay or remove some of its entries');
    return false;
  }

  #done(call: EncodedCall, suppressed: number, dead: number): boolean {
    this.#backlog.advance(call.next, call.faultRun);
    this.#backlog.forgetFaults();
    this.standing.noteDone(call, suppressed, dead);
    const { holdKind } = this.standing;
    if (holdKind !== undefined && (holdKind !== 'faults' || call.records > dead)) this.standing.goOn();
    if (call.faultRun < FAULT_LIMIT) return true;
    this.standing.hold(
      'faults',
      `${FAULT_LIMIT} records in a row could not be stored (${call.fault?.reason ?? ''}); check the settings, or go on with the method Resume`,
    );
    return false;
  }

  /** Redis refused a record: for what it is, or for what this user may not do. */
  #refused(offset: string, text: string): void {
    const refusal = refusalOf(text);
    if (typeof refusal !== 'string') {
      this.#backlog.noteFault(offset, refusal);
    } else {
      this.#waitMs = RETRY_MAX_MS;
      this.standing.inTrouble(refusal);
    }
  }

  #lost(why: string): void {
    this.halt();
    this.#options.onLost(this, why);
  }
}
