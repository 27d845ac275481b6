import type { Clock, Log } from '@iotedge-redis/common';
import type { EncodedCall } from '../apply/call.ts';
import type { TopicPartition } from '../record.ts';

/** A stream of bad records is one line in so much time. */
const EVERY_MS = 10_000;

/** Tells the log of records that could not be stored: the first at once, those that follow soon after together. */
export class FaultReport {
  readonly #place: TopicPartition;
  readonly #clock: Clock;
  readonly #log: Log;
  #dead = 0;
  #skipped = 0;
  #last: Pick<EncodedCall, 'next' | 'fault'> | undefined;
  #cancel: (() => void) | undefined;

  constructor(place: TopicPartition, clock: Clock, log: Log) {
    this.#place = place;
    this.#clock = clock;
    this.#log = log;
  }

  add(dead: number, call: Pick<EncodedCall, 'next' | 'skipped' | 'fault'>): void {
    if (dead + call.skipped === 0) return;
    this.#dead += dead;
    this.#skipped += call.skipped;
    this.#last = call;
    if (this.#cancel === undefined) this.#tell();
  }

  /** Nothing is left untold. */
  end(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#write();
  }

  #tell(): void {
    this.#cancel = undefined;
    if (this.#write()) this.#cancel = this.#clock.after(EVERY_MS, () => this.#tell());
  }

  #write(): boolean {
    const last = this.#last;
    if (last === undefined) return false;
    this.#log.warn('records could not be stored', {
      topic: this.#place.topic,
      partition: this.#place.partition,
      deadLetters: this.#dead,
      skipped: this.#skipped,
      before: last.next,
      code: last.fault?.code,
      reason: last.fault?.reason,
    });
    this.#last = undefined;
    this.#dead = 0;
    this.#skipped = 0;
    return true;
  }
}
