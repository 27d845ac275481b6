import type { Clock, Log } from '@iotedge-redis/common';
import type { EncodedCall } from '../apply/call.ts';
import { FaultReport } from './fault-report.ts';
import type { Counters } from './lane-counters.ts';
import { noCounts } from './lane-counters.ts';
import type { TopicPartition } from '../record.ts';

/** `faults`: too many in a row; `full`: no room for a dead letter; `policy`: a setting says to stop. */
export type HoldKind = 'faults' | 'full' | 'policy';

export interface StandingOptions {
  readonly place: TopicPartition;
  readonly totals: Counters;
  readonly clock: Clock;
  readonly log: Log;
  readonly onChange: () => void;
}

/** How a partition fares: what it has done, and why it stands still, for those who ask and for the log. */
export class LaneStanding {
  readonly counters = noCounts();
  readonly #options: StandingOptions;
  readonly #faults: FaultReport;
  #mismatch: string | undefined;
  #trouble: string | undefined;
  #held: { readonly kind: HoldKind; readonly reason: string } | undefined;

  constructor(options: StandingOptions) {
    this.#options = options;
    this.#faults = new FaultReport(options.place, options.clock, options.log);
  }

  /** Why nothing goes on, until it does. */
  get problem(): string | undefined {
    return this.#held?.reason ?? this.#trouble;
  }

  /** It waits for a person, not for Redis to get better. */
  get isHeld(): boolean {
    return this.#held !== undefined;
  }

  get holdKind(): HoldKind | undefined {
    return this.#held?.kind;
  }

  /** The last time the position did not fit. */
  get mismatch(): string | undefined {
    return this.#mismatch;
  }

  count(name: keyof Counters, by: number): void {
    this.counters[name] += by;
    this.#options.totals[name] += by;
  }

  /** What has become of a call that went through. */
  noteDone(call: EncodedCall, suppressed: number, dead: number): void {
    this.count('applied', call.records - dead - call.skipped);
    this.count('bytes', call.bytes.length);
    this.count('suppressed', suppressed);
    this.count('deadLettered', dead);
    this.count('skipped', call.skipped);
    this.#faults.add(dead, call);
  }

  noteMismatch(reason: string, lost: number): void {
    this.#mismatch = reason;
    this.count('mismatches', 1);
    this.count('lost', lost);
  }

  /** Stands still for a reason that a person has to look at. */
  hold(kind: HoldKind, reason: string): void {
    const isNews = this.#held?.reason !== reason;
    this.#held = { kind, reason };
    if (!isNews) return;
    this.#options.log.error('a partition is held', { ...this.#options.place, reason });
    this.#options.onChange();
  }

  /** What it was held for is over. */
  goOn(): void {
    this.#held = undefined;
    this.#options.log.info('a partition goes on', { ...this.#options.place });
    this.#options.onChange();
  }

  /** What it was held for is tried again; it may be held for it anew. */
  release(): void {
    this.#held = undefined;
  }

  /** Redis or Kafka does not do what it should, for now. */
  inTrouble(reason: string): void {
    if (this.#trouble === reason) return;
    this.#trouble = reason;
    this.#options.log.debug('a partition waits', { ...this.#options.place, reason });
    this.#options.onChange();
  }

  recover(): void {
    if (this.#trouble === undefined) return;
    this.#trouble = undefined;
    this.#options.onChange();
  }

  /** Nothing is left untold. */
  end(): void {
    this.#faults.end();
  }

  /** Everything begins anew. */
  reset(): void {
    this.#held = undefined;
    this.#trouble = undefined;
  }
}
