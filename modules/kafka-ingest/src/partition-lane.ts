import type { Clock, Log } from '@iotedge-redis/common';
import { classifyRedisError, errorText, exponential, replyWord, SuiteError } from '@iotedge-redis/common';
import { BatchQueue } from './batch-queue.ts';
import type { EncodedCall } from './call.ts';
import { encodeCall } from './call.ts';
import type { Gate } from './gate.ts';
import type { Counters } from './lane-counters.ts';
import { noCounts } from './lane-counters.ts';
import type { PartitionKeys } from './positions.ts';
import type { FetchedBatch, RecordFault, TopicPartition } from './record.ts';
import type { Applied, RedisSink } from './redis-sink.ts';
import type { Shape } from './shape.ts';

/** So many faulty records in a row are taken for a mistake in the configuration. */
const FAULT_LIMIT = 20;
const RETRY_FIRST_MS = 50;
const RETRY_MAX_MS = 5000;
const HELD_FIRST_MS = 5000;
const HELD_MAX_MS = 60_000;

export interface LaneLimits {
  readonly maxRecords: number;
  readonly maxBytes: number;
}

/** `faults`: too many in a row; `full`: no room for a dead letter; `policy`: a setting says to stop. */
export interface Hold {
  readonly kind: 'faults' | 'full' | 'policy';
  readonly reason: string;
}

export interface LaneOptions extends TopicPartition {
  readonly keys: PartitionKeys;
  readonly sink: RedisSink;
  readonly gate: Gate;
  readonly limits: () => LaneLimits;
  readonly shape: () => Shape;
  /** Waits until so many records may be applied. */
  readonly admit: (records: number) => Promise<void>;
  readonly totals: Counters;
  readonly clock: Clock;
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
  readonly counters = noCounts();
  readonly #options: LaneOptions;
  readonly #queue = new BatchQueue();
  readonly #known = new Map<string, RecordFault>();
  /** Changes whenever what is queued stops being valid. */
  #epoch = 0;
  #isFlowing = false;
  #isEnded = false;
  /** Redis' position, as far as this lane knows. */
  #applied = 0;
  /** Where the next batch has to begin. */
  #fetchFrom = 0;
  /** Kafka's record before the position has to be this one. */
  #expected: { readonly offset: string; readonly timestamp: string } | undefined;
  #isRecreated = false;
  #faultRun = 0;
  #high: number | undefined;
  #mismatch: string | undefined;
  /** Why nothing goes on, until it does. */
  #trouble: string | undefined;
  #held: Hold | undefined;
  /** Redis refuses for now: what is tried next waits so long. */
  #waitMs = 0;
  #work: Promise<void> | undefined;
  #wake: (() => void) | undefined;
  #spare: Buffer | undefined;

  constructor(options: LaneOptions) {
    this.#options = options;
    this.topic = options.topic;
    this.partition = options.partition;
    this.keys = options.keys;
  }

  /** First offset not applied; undefined before the position is known. */
  get next(): number | undefined {
    return this.#isFlowing ? this.#applied : undefined;
  }

  /** Records between the position and the end of the partition, as of the last fetch. */
  get lag(): number | undefined {
    return this.#high === undefined || !this.#isFlowing ? undefined : Math.max(0, this.#high - this.#applied);
  }

  get queued(): number {
    return this.#queue.records;
  }

  /** Why it stands still. */
  get problem(): string | undefined {
    return this.#held?.reason ?? this.#trouble;
  }

  /** It waits for a person, not for Redis to get better. */
  get isHeld(): boolean {
    return this.#held !== undefined;
  }

  /** The last fetched record showed that the topic was made anew since the position was written. */
  get isRecreated(): boolean {
    return this.#isRecreated;
  }

  get isFlowing(): boolean {
    return this.#isFlowing;
  }

  /** The last time the position did not fit, for those who ask. */
  get mismatch(): string | undefined {
    return this.#mismatch;
  }

  noteMismatch(reason: string, lost: number): void {
    this.#mismatch = reason;
    this.#count('mismatches', 1);
    this.#count('lost', lost);
  }

  /** Why the position cannot be looked up now. */
  troubled(reason: string): void {
    this.#inTrouble(reason);
  }

  noteHigh(high: number): void {
    this.#high = high;
  }

  /** Nothing is taken until `flow` says where to go on. */
  halt(): void {
    this.#epoch += 1;
    this.#isFlowing = false;
    this.#expected = undefined;
    this.#known.clear();
    this.#queue.clear();
    this.#wake?.();
  }

  /** The position is known. Answers where to fetch from. */
  flow(next: number, timestamp: string | undefined, low: number): number {
    this.#epoch += 1;
    this.#applied = next;
    this.#isFlowing = true;
    this.#isRecreated = false;
    this.#held = undefined;
    this.#trouble = undefined;
    const canCheck = timestamp !== undefined && next - 1 >= low;
    this.#expected = canCheck ? { offset: String(next - 1), timestamp } : undefined;
    this.#fetchFrom = canCheck ? next - 1 : next;
    this.#work = this.#loop(this.#epoch, this.#work);
    return this.#fetchFrom;
  }

  /** Stands still for a reason that a person has to look at. */
  hold(kind: Hold['kind'], reason: string): void {
    const isNews = this.#held?.reason !== reason;
    this.#held = { kind, reason };
    if (!isNews) return;
    this.#options.log.error('a partition is held', { ...this.#place, reason });
    this.#options.onChange();
  }

  /** Tries again what it was held for. */
  release(): void {
    this.#held = undefined;
    this.#faultRun = 0;
    this.#wake?.();
  }

  /**
   * Takes a batch if it is the one that comes next, else says nothing. The promise tells when another one is wanted; false
   * when this one was thrown away.
   */
  accept(batch: FetchedBatch): Promise<boolean> | undefined {
    if (!this.#isFlowing) return undefined;
    if (batch.from !== this.#fetchFrom) {
      this.#lost(`Kafka was read from ${batch.from} instead of ${this.#fetchFrom}`);
      return undefined;
    }
    const expected = this.#expected;
    const [first] = batch.records;
    if (
      expected !== undefined &&
      first?.offset === expected.offset &&
      first.timestamp !== expected.timestamp
    ) {
      this.#isRecreated = true;
      this.#lost('the record before the position is another one');
      return undefined;
    }
    this.#expected = undefined;
    this.#high = batch.high;
    this.#fetchFrom = batch.end;
    const taken = new Promise<boolean>((resolve) => this.#queue.add(batch, resolve));
    this.#queue.advance(this.#applied);
    this.#wake?.();
    return taken;
  }

  /** Kafka went over offsets that hold no records for us: markers of transactions, records that were aborted. */
  skipped(first: number | undefined, end: number): void {
    if (!this.#isFlowing) return;
    const isNext = first === this.#fetchFrom;
    this.#fetchFrom = end;
    // Only what is known to come next moves the position; anything else waits for the batch behind it.
    if (!isNext || end <= this.#applied) return;
    const { topic, partition } = this;
    this.#queue.add(
      { topic, partition, from: first, records: [], end, high: this.#high ?? end },
      () => undefined,
    );
    this.#wake?.();
  }

  /** The call under way ends, nothing more is begun. */
  async end(): Promise<void> {
    this.#isEnded = true;
    this.#epoch += 1;
    this.#queue.clear();
    this.#wake?.();
    await this.#work;
  }

  get #place(): { topic: string; partition: number } {
    return { topic: this.topic, partition: this.partition };
  }

  async #loop(epoch: number, before: Promise<void> | undefined): Promise<void> {
    await before;
    let prepared: EncodedCall | undefined;
    while (epoch === this.#epoch && !this.#isEnded) {
      try {
        const call = prepared ?? (await this.#nextCall(epoch));
        prepared = undefined;
        if (call === undefined) continue;
        await this.#options.gate.pass();
        await this.#options.admit(call.records);
        if (epoch !== this.#epoch) return;
        const sent = this.#send(call, epoch);
        // What was written goes out at the end of this turn: Redis works while the next call is made.
        await new Promise<void>((resolve) => setImmediate(resolve));
        const following = this.#encode(call);
        const applied = await sent;
        if (applied === undefined || epoch !== this.#epoch) return;
        if (this.#trouble !== undefined && applied.kind === 'done') this.#recovered();
        if (this.#settle(call, applied)) prepared = following;
        this.#spare ??= call.backing;
        if (this.#waitMs > 0) await this.#pause(this.#waitMs);
        this.#waitMs = 0;
      } catch (error) {
        // A mistake of this program must neither lose a record nor end the others' work.
        this.#options.log.error('applying records failed', { ...this.#place, error: errorText(error) });
        this.#trouble = errorText(error);
        await this.#pause(RETRY_MAX_MS);
      }
    }
  }

  /** A call of what is queued; waits for something to be queued, and while the lane is held. */
  async #nextCall(epoch: number): Promise<EncodedCall | undefined> {
    for (let probes = 1; this.#held !== undefined && epoch === this.#epoch; probes += 1) {
      const schedule = exponential({ firstMs: HELD_FIRST_MS, maxMs: HELD_MAX_MS, random: () => 1 });
      await this.#pause(schedule(probes));
      const kind = this.#holdKind();
      const probe = kind === undefined ? undefined : this.#encode(undefined, kind === 'faults');
      if (probe !== undefined) return probe;
    }
    if (epoch !== this.#epoch) return undefined;
    const call = this.#encode();
    if (call === undefined && this.#held === undefined) await this.#pause();
    return call;
  }

  #holdKind(): Hold['kind'] | undefined {
    return this.#held?.kind;
  }

  /** The call that follows the given one, or the first. */
  #encode(after?: EncodedCall, isProbe = false): EncodedCall | undefined {
    const { head, second } = this.#queue;
    if (head === undefined || (after !== undefined && after.faultRun >= FAULT_LIMIT)) return undefined;
    const start = head.start + (after?.records ?? 0);
    const isPast = after !== undefined && start >= head.batch.records.length;
    const batch = isPast ? second : head.batch;
    if (batch === undefined) return undefined;
    const spare = this.#spare;
    this.#spare = undefined;
    const result = encodeCall({
      shape: this.#options.shape(),
      keys: this.keys,
      batch,
      start: isPast ? 0 : start,
      from: after?.next ?? this.#applied,
      ...this.#options.limits(),
      known: this.#known,
      faultRun: after?.faultRun ?? this.#faultRun,
      faultLimit: FAULT_LIMIT,
      isProbe,
      spare,
      now: this.#options.clock.now(),
    });
    if ('call' in result) return result.call;
    // Behind a call under way it is met again, as the first.
    if (after === undefined && this.#held === undefined)
      this.hold(
        'policy',
        `offset ${result.blocked.record.offset}: ${result.blocked.fault.reason} (onError is stop)`,
      );
    return undefined;
  }

  /** Sends a call until Redis takes it; nothing when the lane has moved on meanwhile. */
  async #send(call: EncodedCall, epoch: number): Promise<Applied | undefined> {
    const schedule = exponential({ firstMs: RETRY_FIRST_MS, maxMs: RETRY_MAX_MS });
    for (let failures = 1; ; failures += 1) {
      try {
        return await this.#options.sink.apply(call);
      } catch (error) {
        this.#inTrouble(errorText(error));
        const isPassing = error instanceof SuiteError && error.retryable;
        await this.#pause(isPassing ? schedule(failures) : RETRY_MAX_MS);
        await this.#options.gate.pass();
        if (epoch !== this.#epoch) return undefined;
        this.#count('retried', 1);
      }
    }
  }

  /** True when the call prepared meanwhile is the one that comes next. */
  #settle(call: EncodedCall, applied: Applied): boolean {
    if (applied.kind === 'elsewhere') {
      // The call went through before, and its answer was lost.
      if (applied.next === call.next) return this.#done(call, 0, call.dead);
      this.#count('repositioned', 1);
      const where = applied.next === undefined ? 'without a position' : `at ${applied.next}`;
      this.#lost(`Redis stands ${where} instead of at ${call.from}`);
      return false;
    }
    if (applied.kind === 'done') return this.#done(call, applied.suppressed, applied.dead);
    const { next, index, suppressed, dead } = applied;
    this.#count('applied', index - dead);
    this.#count('suppressed', suppressed);
    this.#count('deadLettered', dead);
    this.#applied = next;
    this.#queue.advance(next);
    if (index > dead) this.#faultRun = 0;
    if (applied.kind === 'refused') this.#refused(String(next), applied.error);
    else this.hold('full', 'the dead-letter stream is full; replay or remove some of its entries');
    return false;
  }

  #done(call: EncodedCall, suppressed: number, dead: number): boolean {
    this.#applied = call.next;
    this.#faultRun = call.faultRun;
    this.#queue.advance(call.next);
    if (this.#known.size > 0) this.#known.clear();
    this.#count('applied', call.records - dead - call.skipped);
    this.#count('bytes', call.bytes.length);
    this.#count('suppressed', suppressed);
    this.#count('deadLettered', dead);
    this.#count('skipped', call.skipped);
    if (dead + call.skipped > 0) this.#tellOfFaults(call, dead);
    if (this.#held !== undefined && (this.#held.kind !== 'faults' || call.records > dead)) {
      this.#held = undefined;
      this.#options.log.info('a partition goes on', this.#place);
      this.#options.onChange();
    }
    if (call.faultRun < FAULT_LIMIT) return true;
    this.hold(
      'faults',
      `${FAULT_LIMIT} records in a row could not be stored (${call.fault?.reason ?? ''}); check the settings, or go on with the method Resume`,
    );
    return false;
  }

  /** Redis refused a record: for what it is, or for what this user may not do. */
  #refused(offset: string, text: string): void {
    const reply = new Error(text.replace(/^-/, ''));
    reply.name = 'ReplyError';
    const word = replyWord(reply);
    if (word === 'WRONGTYPE') {
      this.#known.set(offset, { code: 'WRONG_TYPE', reason: 'the key holds another type of value' });
    } else if (word === 'ERR' && classifyRedisError(reply).code !== 'REDIS_DENIED') {
      this.#known.set(offset, { code: 'REFUSED', reason: 'Redis refused the record' });
    } else {
      this.#waitMs = RETRY_MAX_MS;
      this.#inTrouble(`Redis refused a record (${word ?? 'no code'}); check its ACL; it is tried again`);
    }
  }

  #inTrouble(reason: string): void {
    if (this.#trouble === reason) return;
    this.#trouble = reason;
    this.#options.log.debug('Redis did not take a call', { ...this.#place, reason });
    this.#options.onChange();
  }

  #recovered(): void {
    this.#trouble = undefined;
    this.#options.onChange();
  }

  #tellOfFaults(call: EncodedCall, dead: number): void {
    this.#options.log.warn(dead > 0 ? 'records became dead letters' : 'records were skipped', {
      ...this.#place,
      records: dead + call.skipped,
      before: call.next,
      code: call.fault?.code,
      reason: call.fault?.reason,
    });
  }

  #lost(why: string): void {
    this.halt();
    this.#options.onLost(this, why);
  }

  #count(name: keyof Counters, by: number): void {
    this.counters[name] += by;
    this.#options.totals[name] += by;
  }

  /** Waits for the time, or until something happens. */
  #pause(ms?: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = ms === undefined ? undefined : this.#options.clock.after(ms, () => this.#wake?.());
      this.#wake = () => {
        this.#wake = undefined;
        cancel?.();
        resolve();
      };
    });
  }
}
