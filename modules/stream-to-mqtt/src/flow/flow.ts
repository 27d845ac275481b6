import type { Clock, Log, TokenBucket } from '@iotedge-redis/common';
import type { BridgedStream, Outgoing } from '../streams/bridged-stream.ts';
import type { Lane, Slot } from './lane.ts';
import { Latch } from './latch.ts';
import { Outbox } from './outbox.ts';
import type { Entry } from '../streams/redis-replies.ts';
import type { Refusal, Sink } from '../sink/sink.ts';
import { RefusalGuard } from './refusal-guard.ts';

export interface FlowOptions {
  readonly sink: Sink<Slot<Outgoing>>;
  readonly window: number;
  readonly batchSize: number;
  readonly maxDeliveries: number;
  readonly messageBucket: TokenBucket | undefined;
  readonly byteBucket: TokenBucket | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** The entry is done: acknowledge it. */
  readonly done: (entry: Outgoing) => void;
  /** The filter held it back: acknowledge it. */
  readonly filtered: (stream: BridgedStream, id: string) => void;
  /** The entry can never be delivered. */
  readonly dead: (entry: Outgoing, refusal: Refusal) => void;
  readonly onChange: () => void;
  /** False while another instance has the lease. */
  readonly isActive: () => boolean;
}

const MAX_HELD_BYTES = 8 * 1024 * 1024;
const WINDOW_BYTES = 4 * 1024 * 1024;
/** The holder of a pause that only it can end. */
export const SETTING = 'setting';
const REFUSALS = 'refusals';

/** Joins the outbox with the sink: takes shaped entries in, keeps the window filled, tells what became of each. */
export class Flow {
  readonly outbox: Outbox<Outgoing>;
  /** Wakes readers: there may be room, or another state. */
  readonly latch = new Latch();
  readonly #options: FlowOptions;
  readonly #pauses = new Map<string, string>();
  #window = 0;
  #isReady = false;
  #isStopped = false;
  readonly #refusals: RefusalGuard;
  /** Unknown at first: a guess on the large side makes the first read a small one. */
  #averageBytes = 512 * 1024;
  #isPumping = false;
  losses = 0;

  constructor(options: FlowOptions) {
    this.#options = options;
    this.outbox = new Outbox({
      window: options.window,
      windowBytes: WINDOW_BYTES,
      maxBlames: options.maxDeliveries,
    });
    this.#refusals = new RefusalGuard({
      clock: options.clock,
      log: options.log,
      stop: (why) => {
        this.#pauses.set(REFUSALS, why);
        // What is in flight goes back to wait: no more of it is to become dead letters.
        options.sink.recycle('paused after refusals');
        options.onChange();
      },
      goOn: () => this.resume(REFUSALS),
    });
  }

  start(): void {
    this.#options.sink.start({
      ready: () => this.#ready(),
      lost: (reason) => this.#lost(reason),
      acked: (slot) => this.#acked(slot),
      refused: (slot, refusal) => this.#refused(slot, refusal),
      controlPassed: () => {
        this.outbox.controlPassed();
        this.pump();
      },
    });
  }

  /** Why nothing moves, by who wanted it. */
  get pauses(): ReadonlyMap<string, string> {
    return this.#pauses;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  pause(who: string, why: string): void {
    this.#pauses.set(who, why);
    this.#options.onChange();
  }

  resume(who?: string): void {
    if (who === undefined) {
      // What a setting holds, only the setting lets go.
      for (const holder of this.#pauses.keys()) if (holder !== SETTING) this.#pauses.delete(holder);
    } else if (!this.#pauses.delete(who)) return;
    if (who === undefined || who === REFUSALS) this.#refusals.resumed(who === undefined);
    this.#options.onChange();
    this.latch.wake();
    this.pump();
  }

  /** How many entries may be read now; 0 when it is not worth a read. Nothing is read that cannot soon be sent. */
  room(): number {
    if (!this.#isReady || this.#isStopped || this.#pauses.size > 0 || !this.#options.isActive()) return 0;
    const { batchSize, messageBucket, byteBucket } = this.#options;
    if (byteBucket?.available() === 0) return 0;
    const capacity = this.#window + Math.max(this.#window, batchSize);
    const byBytes = Math.floor((MAX_HELD_BYTES - this.outbox.heldBytes) / this.#averageBytes);
    const isEmpty = this.outbox.held === 0;
    const free = Math.min(capacity - this.outbox.held, isEmpty ? Math.max(1, byBytes) : byBytes);
    // Many small reads would cost more than they bring while there is enough to send.
    const most = Math.min(capacity, MAX_HELD_BYTES / this.#averageBytes);
    if (free < Math.min(batchSize, most / 4) && !isEmpty) return 0;
    return Math.max(0, messageBucket === undefined ? free : Math.min(free, messageBucket.available()));
  }

  /** Milliseconds until a rate cap lets the next entry be read. */
  roomInMs(): number {
    const { messageBucket, byteBucket } = this.#options;
    return Math.max(messageBucket?.waitMs() ?? 0, byteBucket?.waitMs() ?? 0);
  }

  /** Takes entries of a stream in, in their order. */
  accept(
    stream: BridgedStream,
    entries: readonly Entry[],
    redelivered: boolean,
    deliveries?: ReadonlyMap<string, number>,
  ): void {
    const now = this.#options.clock.now();
    for (const entry of entries) {
      if (entry.pairs === undefined) continue;
      const again = redelivered || (entry.deliveries ?? 0) > 0;
      const outgoing = stream.shape(
        entry,
        entry.pairs,
        again,
        deliveries?.get(entry.id) ?? (entry.deliveries ?? 0) + 1,
        now,
      );
      stream.count('read');
      if (again) stream.count('redelivered');
      if (outgoing === undefined) {
        stream.count('filtered');
        this.#options.filtered(stream, entry.id);
        continue;
      }
      this.add(stream.lane, outgoing);
      stream.messageBucket?.spend(1);
      stream.byteBucket?.spend(outgoing.bytes);
    }
    this.pump();
  }

  add(lane: Lane<Outgoing>, outgoing: Outgoing): Slot<Outgoing> {
    this.#options.messageBucket?.spend(1);
    this.#options.byteBucket?.spend(outgoing.bytes);
    this.#averageBytes += (Math.max(64, outgoing.bytes) - this.#averageBytes) / 32;
    return this.outbox.add(lane, outgoing);
  }

  pump(): void {
    if (!this.#isReady || this.#isPumping || this.#pauses.size > 0 || !this.#options.isActive()) return;
    this.#isPumping = true;
    try {
      for (;;) {
        const step = this.outbox.next();
        if (step === undefined) break;
        if ('control' in step) {
          this.#options.sink.control();
          break;
        }
        const { entry } = step.send;
        const refusal = entry.fault ?? this.#options.sink.refusal(entry);
        if (refusal === undefined) this.#options.sink.publish(step.send, entry);
        else if (!this.#bury(step.send, refusal)) break;
      }
    } finally {
      this.#isPumping = false;
    }
  }

  /** No more reading and no more sending of what waits; what is in flight may still be answered. */
  async drain(signal: AbortSignal): Promise<void> {
    this.#isStopped = true;
    this.#refusals.cancel();
    for (const lane of this.outbox.lanes()) this.outbox.dropWaiting(lane);
    this.latch.wake();
    while (this.outbox.sent > 0 && this.#isReady && !signal.aborted)
      await this.latch.wait(50, signal, this.#options.clock);
  }

  #ready(): void {
    const { sink, window, maxDeliveries } = this.#options;
    this.#window = Math.max(1, Math.min(window, sink.window));
    this.outbox.setLimits({ window: this.#window, windowBytes: WINDOW_BYTES, maxBlames: maxDeliveries });
    this.#isReady = true;
    this.#options.onChange();
    this.latch.wake();
    this.pump();
  }

  #lost(reason: string): void {
    this.#isReady = false;
    this.losses += 1;
    for (const slot of this.outbox.lost()) {
      const { entry } = slot;
      this.#options.log.warn('an entry makes the broker close the connection', {
        stream: entry.stream,
        db: entry.db,
        id: entry.id,
        reason,
      });
      this.#bury(slot, {
        code: 'CONNECTION_LOST',
        text: `the broker closed the connection whenever it was sent: ${reason}`,
      });
    }
    this.#options.onChange();
    this.latch.wake();
  }

  #acked(slot: Slot<Outgoing>): void {
    const { entry } = slot;
    this.outbox.settle(slot);
    this.#refusals.delivered();
    entry.source.count('published');
    entry.source.count('bytes', entry.bytes);
    if (entry.replay !== undefined) entry.source.count('replayed');
    this.#options.done(entry);
    this.pump();
    if (this.room() > 0) this.latch.wake();
  }

  #refused(slot: Slot<Outgoing>, refusal: Refusal): void {
    this.#bury(slot, refusal);
    this.pump();
    if (this.room() > 0) this.latch.wake();
  }

  /** Answers false when the bridge pauses instead. */
  #bury(slot: Slot<Outgoing>, refusal: Refusal): boolean {
    const bury = (): void => {
      this.outbox.settle(slot);
      this.#options.dead(slot.entry, refusal);
    };
    if (slot.entry.replay === undefined) return this.#refusals.refused(refusal, bury);
    // It is a dead letter already, and says nothing of the entries that come now.
    bury();
    return true;
  }
}
