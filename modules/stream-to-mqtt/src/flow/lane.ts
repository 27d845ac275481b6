import { compareIds } from '../streams/entry-id.ts';

/** What the outbox needs to know of an entry that waits for its acknowledgement. */
export interface Held {
  readonly id: string;
  readonly bytes: number;
}

/** An entry in its lane. */
export interface Slot<T extends Held> {
  readonly entry: T;
  readonly lane: Lane<T>;
  state: 'waiting' | 'sent' | 'settled';
  /** Connections that were lost while it was in flight. */
  losses: number;
  /** Connections that were lost while it was the only one in flight, each after the broker had been seen to work. */
  blames: number;
}

/** Compact only when it pays: moving the rest costs as much as what is left. */
const COMPACT_AT = 512;

/**
 * The unacknowledged entries of one stream in id order. What was sent and not settled is always a beginning of what is not
 * settled, so that after a loss sending resumes at the oldest.
 */
export class Lane<T extends Held> {
  readonly name: string;
  #slots: Slot<T>[] = [];
  #head = 0;
  #next = 0;
  #waiting = 0;
  #sent = 0;

  constructor(name: string) {
    this.name = name;
  }

  get waiting(): number {
    return this.#waiting;
  }

  get sent(): number {
    return this.#sent;
  }

  get size(): number {
    return this.#waiting + this.#sent;
  }

  /** The oldest entry that is not settled. */
  get oldest(): Slot<T> | undefined {
    return this.#slots[this.#head];
  }

  /** The one that `take` would give. */
  peek(): Slot<T> | undefined {
    while (this.#slots[this.#next]?.state === 'settled') this.#next += 1;
    return this.#slots[this.#next];
  }

  /** Takes an entry in; one that is older than what already waits goes before it, yet never before what was sent. */
  add(entry: T): Slot<T> {
    const slot: Slot<T> = { entry, lane: this, state: 'waiting', losses: 0, blames: 0 };
    this.#waiting += 1;
    let at = this.#slots.length;
    const isOlderThan = (other: Slot<T> | undefined): boolean =>
      other !== undefined && compareIds(entry.id, other.entry.id) < 0;
    while (at > this.#next && isOlderThan(this.#slots[at - 1])) at -= 1;
    if (at === this.#slots.length) this.#slots.push(slot);
    else this.#slots.splice(at, 0, slot);
    return slot;
  }

  take(): Slot<T> | undefined {
    const slot = this.peek();
    if (slot === undefined) return undefined;
    this.#next += 1;
    slot.state = 'sent';
    this.#waiting -= 1;
    this.#sent += 1;
    return slot;
  }

  settle(slot: Slot<T>): void {
    if (slot.state === 'settled') return;
    if (slot.state === 'sent') this.#sent -= 1;
    else this.#waiting -= 1;
    slot.state = 'settled';
    while (this.#slots[this.#head]?.state === 'settled') this.#head += 1;
    if (this.#next < this.#head) this.#next = this.#head;
    if (this.#head >= COMPACT_AT && this.#head * 2 >= this.#slots.length) {
      this.#slots = this.#slots.slice(this.#head);
      this.#next -= this.#head;
      this.#head = 0;
    }
  }

  /** What was in flight waits again, in its old place. */
  rewind(): Slot<T>[] {
    const lost: Slot<T>[] = [];
    for (let at = this.#head; at < this.#next; at += 1) {
      const slot = this.#slots[at];
      if (slot?.state !== 'sent') continue;
      slot.state = 'waiting';
      lost.push(slot);
    }
    this.#next = this.#head;
    this.#waiting += lost.length;
    this.#sent = 0;
    return lost;
  }

  /** Forgets what waits; what is in flight stays. */
  dropWaiting(): Slot<T>[] {
    const dropped = this.#slots.slice(this.#head).filter((slot) => slot.state === 'waiting');
    for (const slot of dropped) this.settle(slot);
    return dropped;
  }

  *unsettled(): Generator<Slot<T>> {
    for (let at = this.#head; at < this.#slots.length; at += 1) {
      const slot = this.#slots[at];
      if (slot !== undefined && slot.state !== 'settled') yield slot;
    }
  }
}
