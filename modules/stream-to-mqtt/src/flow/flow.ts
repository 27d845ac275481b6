import type { Clock, Log } from '@iotedge-redis/common';
import type { BridgedStream, Outgoing } from '../streams/bridged-stream.ts';
import type { Lane, Slot } from './lane.ts';
import { Latch } from './latch.ts';
import { Outbox } from './outbox.ts';
import type { Entry } from '../streams/redis-replies.ts';
import type { Refusal, Sink } from '../sink/sink.ts';
import { RefusalGuard } from './refusal-guard.ts';
import { Room } from './room.ts';
import type { RoomOptions } from './room.ts';

export interface FlowOptions extends RoomOptions {
  readonly sink: Sink<Slot<Outgoing>>;
  readonly window: number;
  readonly maxDeliveries: number;
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
  readonly #room: Room;
  #isPumping = false;
  losses = 0;

  constructor(options: FlowOptions) {
    this.#options = options;
    this.#room = new Room(options);
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
      changed: () => this.#options.onChange(),
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
    return this.#room.entries(this.outbox, this.#window);
  }

  /** Milliseconds until a rate cap lets the next entry be read. */
  roomInMs(): number {
    return this.#room.waitMs();
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
      stream.sized(entry.pairs);
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
    this.#room.took(outgoing.bytes);
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
        stream: entry.source.shown,
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
