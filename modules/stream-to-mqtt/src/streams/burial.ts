import type { Clock, Log, RedisTarget } from '@iotedge-redis/common';
import { errorText, sleep } from '@iotedge-redis/common';
import type { BridgedStream, Outgoing } from './bridged-stream.ts';
import { bury, deadLetterKey, deadLetterName } from './dead-letters.ts';
import type { Operations } from './operations.ts';
import type { Refusal } from '../sink/sink.ts';
import type { StreamSource } from './stream-source.ts';
import { isAborted } from '../flow/is-aborted.ts';

const RETRY_MS = 1000;

export interface BurialOptions {
  readonly mode: RedisTarget['mode'];
  readonly max: number;
  readonly operations: Operations;
  readonly clock: Clock;
  readonly log: Log;
  /** Undefined when it works again. */
  readonly onTrouble: (why: string | undefined) => void;
}

/** Moves entries to the dead letters one after another; while that fails, it says so, and the bridge pauses. */
export class Burial {
  readonly #source: StreamSource;
  readonly #options: BurialOptions;
  readonly #queue: { readonly entry: Outgoing; readonly refusal: Refusal }[] = [];
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;

  constructor(source: StreamSource, options: BurialOptions) {
    this.#source = source;
    this.#options = options;
  }

  add(entry: Outgoing, refusal: Refusal): void {
    const item = { entry, refusal };
    this.#queue.push(item);
    entry.source.toBury.push(item);
    this.#running ??= this.#work().finally(() => (this.#running = undefined));
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** What is under way ends; what cannot be kept stays pending in the group. */
  async drain(signal: AbortSignal): Promise<void> {
    while (this.#running !== undefined && !signal.aborted) await Promise.race([this.#running, sleep(20)]);
  }

  async #work(): Promise<void> {
    const { signal } = this.#stopping;
    for (let item = this.#queue[0]; item !== undefined && !signal.aborted; item = this.#queue[0]) {
      const { source: stream } = item.entry;
      try {
        await this.#bury(stream, item.entry, item.refusal);
        this.#options.onTrouble(undefined);
      } catch (error) {
        if (isAborted(signal)) return;
        this.#options.onTrouble(errorText(error));
        await sleep(RETRY_MS, signal, this.#options.clock).catch(() => undefined);
        continue;
      }
      this.#queue.shift();
      const done = item;
      stream.toBury = stream.toBury.filter((other) => other !== done);
    }
  }

  async #bury(stream: BridgedStream, entry: Outgoing, refusal: Refusal): Promise<void> {
    const { mode, max, operations, clock, log } = this.#options;
    await operations.admit(this.#stopping.signal, 3);
    await bury(this.#source, deadLetterKey(stream.key, mode), entry, refusal, {
      max,
      now: clock.now(),
      acknowledge: entry.epoch === stream.epoch,
    });
    stream.count('deadLettered');
    const where = {
      stream: stream.shown,
      db: stream.db,
      id: entry.id,
      code: refusal.code,
      reason: refusal.text,
    };
    log.warn('an entry became a dead letter', { ...where, deadLetters: deadLetterName(stream) });
  }
}
