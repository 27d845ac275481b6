import type { Clock } from '@iotedge-redis/common';
import { BatchQueue } from './batch-queue.ts';
import type { Blocked, EncodedCall } from '../apply/call.ts';
import { encodeCall } from '../apply/call.ts';
import type { PartitionKeys } from '../apply/positions.ts';
import type { FetchedBatch, RecordFault } from '../record.ts';
import type { Shape } from '../shape/shape.ts';

/** So many faulty records in a row are taken for a mistake in the configuration. */
export const FAULT_LIMIT = 20;

export interface LaneLimits {
  readonly maxRecords: number;
  readonly maxBytes: number;
}

export interface BacklogOptions {
  readonly keys: PartitionKeys;
  readonly limits: () => LaneLimits;
  readonly shape: () => Shape;
  readonly clock: Clock;
}

/** What of a partition was fetched and is to be applied next, as calls of the script. */
export class Backlog {
  readonly #options: BacklogOptions;
  readonly #queue = new BatchQueue();
  /** Faults that Redis has found, by offset. */
  readonly #known = new Map<string, RecordFault>();
  #next = 0;
  #faultRun = 0;
  #spare: Buffer | undefined;

  constructor(options: BacklogOptions) {
    this.#options = options;
  }

  /** Redis' position, as far as it is known. */
  get next(): number {
    return this.#next;
  }

  get records(): number {
    return this.#queue.records;
  }

  /** Begins at a position, with nothing fetched. */
  begin(next: number): void {
    this.clear();
    this.#next = next;
  }

  clear(): void {
    this.#known.clear();
    this.#queue.clear();
  }

  /** Resolves once another batch is wanted; false when this one was thrown away. */
  add(batch: FetchedBatch): Promise<boolean> {
    const taken = new Promise<boolean>((resolve) => this.#queue.add(batch, resolve));
    this.#queue.advance(this.#next);
    return taken;
  }

  /** Everything before the position is applied, and so many records before it in a row were faulty. */
  advance(next: number, faultRun: number): void {
    this.#next = next;
    this.#faultRun = faultRun;
    this.#queue.advance(next);
  }

  get faultRun(): number {
    return this.#faultRun;
  }

  /** The faulty ones are looked at as if they were the first. */
  forgive(): void {
    this.#faultRun = 0;
  }

  noteFault(offset: string, fault: RecordFault): void {
    this.#known.set(offset, fault);
  }

  forgetFaults(): void {
    if (this.#known.size > 0) this.#known.clear();
  }

  /** Takes back the memory of a call that was answered. */
  reuse(call: EncodedCall): void {
    this.#spare ??= call.backing;
  }

  /** The call that follows the given one, or the first; why there is none, where its first record may not be passed over. */
  call(after?: EncodedCall, isProbe = false): EncodedCall | Blocked | undefined {
    const { head, second } = this.#queue;
    if (head === undefined || (after !== undefined && after.faultRun >= FAULT_LIMIT)) return undefined;
    const start = head.start + (after?.records ?? 0);
    const isPast = after !== undefined && start >= head.batch.records.length;
    const batch = isPast ? second : head.batch;
    if (batch === undefined) return undefined;
    const spare = this.#spare;
    this.#spare = undefined;
    const { keys, shape, limits, clock } = this.#options;
    return encodeCall({
      shape: shape(),
      keys,
      batch,
      start: isPast ? 0 : start,
      from: after?.next ?? this.#next,
      ...limits(),
      known: this.#known,
      faultRun: after?.faultRun ?? this.#faultRun,
      faultLimit: FAULT_LIMIT,
      isProbe,
      spare,
      now: clock.now(),
    });
  }
}
