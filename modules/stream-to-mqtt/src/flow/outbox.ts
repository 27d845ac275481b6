import type { Held, Slot } from './lane.ts';
import { Lane } from './lane.ts';

export interface OutboxLimits {
  /** Entries in flight. */
  readonly window: number;
  /** Bytes in flight; one entry may always go, however large. */
  readonly windowBytes: number;
  /** Lost connections that one entry is blamed for before it is taken for poison. */
  readonly maxBlames: number;
}

/** What to do next: send an entry, or first see whether the broker works at all. */
export type Step<T extends Held> = { readonly send: Slot<T> } | { readonly control: true } | undefined;

/** An entry that was in flight when two connections broke may be what breaks them. */
const SUSPECT_LOSSES = 2;
/** Entries of one lane in a row before the next lane has its turn. */
const TURN = 8;

/**
 * Decides what is sent when: a window over all lanes, each lane in id order, no barrier between batches. After a loss everything
 * unacknowledged goes again from the oldest. When entries were in flight in two losses, the outbox probes: it sends a control
 * message, then suspects one after another (more at a time while they pass), until each is acknowledged or found to break
 * the connection `maxBlames` times, every time right after the broker was seen to work.
 */
export class Outbox<T extends Held> {
  readonly #lanes = new Set<Lane<T>>();
  #limits: OutboxLimits;
  #turn: Lane<T>[] = [];
  #inTurn = new Set<Lane<T>>();
  #turnLeft = TURN;
  #sent = 0;
  #sentBytes = 0;
  #held = 0;
  #heldBytes = 0;
  #suspects = new Set<Slot<T>>();
  #probeWindow = 1;
  #control: 'needed' | 'sent' | 'passed' = 'needed';

  constructor(limits: OutboxLimits) {
    this.#limits = limits;
  }

  get held(): number {
    return this.#held;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  get sent(): number {
    return this.#sent;
  }

  get isProbing(): boolean {
    return this.#suspects.size > 0;
  }

  setLimits(limits: OutboxLimits): void {
    this.#limits = limits;
  }

  lane(name: string): Lane<T> {
    const lane = new Lane<T>(name);
    this.#lanes.add(lane);
    return lane;
  }

  lanes(): Iterable<Lane<T>> {
    return this.#lanes;
  }

  /** Takes the lane out with everything in it. */
  removeLane(lane: Lane<T>): void {
    for (const slot of [...lane.unsettled()]) this.settle(slot);
    this.#lanes.delete(lane);
  }

  add(lane: Lane<T>, entry: T): Slot<T> {
    const slot = lane.add(entry);
    this.#held += 1;
    this.#heldBytes += entry.bytes;
    this.#queue(lane);
    return slot;
  }

  /** The next step within the window; an answered `send` is in flight from now on. */
  next(): Step<T> {
    if (this.#suspects.size > 0) return this.#nextProbe();
    if (this.#sent >= this.#limits.window) return undefined;
    for (;;) {
      const lane = this.#turn[0];
      if (lane === undefined) return undefined;
      const slot = lane.peek();
      if (slot === undefined) {
        this.#endTurn(lane);
        continue;
      }
      if (!this.#fits(slot)) return undefined;
      this.#turnLeft -= 1;
      if (this.#turnLeft <= 0) this.#passTurn(lane);
      return { send: this.#send(lane, slot) };
    }
  }

  /** The entry is done with, acknowledged or not. Settling twice does nothing. */
  settle(slot: Slot<T>): void {
    if (slot.state === 'settled') return;
    if (slot.state === 'sent') this.#landed(slot);
    this.#held -= 1;
    this.#heldBytes -= slot.entry.bytes;
    slot.lane.settle(slot);
    this.#suspects.delete(slot);
    this.#probeWindow = this.#suspects.size === 0 ? 1 : this.#probeWindow * 2;
  }

  /** The broker acknowledged the control message, or refused it: it works either way. */
  controlPassed(): void {
    if (this.#control === 'sent') this.#control = 'passed';
  }

  /** The connection is gone. Answers the entries that are poison; they wait until they are settled. */
  lost(): Slot<T>[] {
    const lost = [...this.#lanes].flatMap((lane) => (lane.sent > 0 ? lane.rewind() : []));
    const wasProbe = this.#suspects.size > 0;
    const poison: Slot<T>[] = [];
    const [only] = lost;
    if (wasProbe && lost.length === 1 && only !== undefined && this.#control === 'passed') {
      only.blames += 1;
      if (only.blames >= this.#limits.maxBlames) poison.push(only);
    }
    for (const slot of lost) {
      slot.losses += 1;
      if (slot.losses >= SUSPECT_LOSSES) this.#suspects.add(slot);
      this.#queue(slot.lane);
    }
    this.#sent = 0;
    this.#sentBytes = 0;
    this.#probeWindow = 1;
    this.#control = 'needed';
    return poison;
  }

  /** Forgets what waits, so that it is read again; what is in flight stays. */
  dropWaiting(lane: Lane<T>): void {
    for (const slot of lane.dropWaiting()) {
      this.#held -= 1;
      this.#heldBytes -= slot.entry.bytes;
      this.#suspects.delete(slot);
    }
  }

  #nextProbe(): Step<T> {
    if (this.#control !== 'passed') {
      if (this.#control === 'sent' || this.#sent > 0) return undefined;
      this.#control = 'sent';
      return { control: true };
    }
    if (this.#sent >= Math.min(this.#probeWindow, this.#limits.window)) return undefined;
    // The least blamed first: lanes without poison move on while one is being judged.
    let best: Slot<T> | undefined;
    for (const suspect of this.#suspects) {
      const first = suspect.lane.peek();
      if (first !== undefined && (best === undefined || first.blames < best.blames)) best = first;
    }
    return best !== undefined && this.#fits(best) ? { send: this.#send(best.lane, best) } : undefined;
  }

  #fits(slot: Slot<T>): boolean {
    return this.#sent === 0 || this.#sentBytes + slot.entry.bytes <= this.#limits.windowBytes;
  }

  #send(lane: Lane<T>, slot: Slot<T>): Slot<T> {
    lane.take();
    this.#sent += 1;
    this.#sentBytes += slot.entry.bytes;
    return slot;
  }

  #landed(slot: Slot<T>): void {
    this.#sent -= 1;
    this.#sentBytes -= slot.entry.bytes;
  }

  #queue(lane: Lane<T>): void {
    if (this.#inTurn.has(lane)) return;
    this.#inTurn.add(lane);
    this.#turn.push(lane);
  }

  #endTurn(lane: Lane<T>): void {
    this.#turn.shift();
    this.#inTurn.delete(lane);
    this.#turnLeft = TURN;
  }

  #passTurn(lane: Lane<T>): void {
    this.#turn.shift();
    this.#turn.push(lane);
    this.#turnLeft = TURN;
  }
}
