import type { Clock, Log } from '@iotedge-redis/common';
import { errorText } from '@iotedge-redis/common';
import type { BridgedStream } from './bridged-stream.ts';
import type { Operations } from './operations.ts';
import type { StreamSource } from './stream-source.ts';

/** Acknowledgements of one stream that come within this time go in one command. */
const GATHER_MS = 10;
const RETRY_MS = 250;
/** Most ids in one command. */
const MAX_IDS = 2000;

/** Sends XACK for what the broker has taken: gathered per stream, repeated until Redis has answered. */
export class Acknowledger {
  readonly #source: StreamSource;
  readonly #operations: Operations;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #onProgress: () => void;
  readonly #stopping = new AbortController();
  #dirty = new Set<BridgedStream>();
  #cancel: (() => void) | undefined;
  #flushing: Promise<void> | undefined;

  constructor(options: {
    readonly source: StreamSource;
    readonly operations: Operations;
    readonly clock: Clock;
    readonly log: Log;
    readonly onProgress: () => void;
  }) {
    this.#source = options.source;
    this.#operations = options.operations;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#onProgress = options.onProgress;
  }

  add(stream: BridgedStream, id: string): void {
    stream.toAck.push(id);
    this.#dirty.add(stream);
    this.#plan(GATHER_MS);
  }

  /** What is still to be acknowledged goes out now. */
  async drain(): Promise<void> {
    this.#cancel?.();
    this.#cancel = undefined;
    await this.#flushing;
    if (this.#dirty.size > 0) await this.#flush();
  }

  stop(): void {
    this.#stopping.abort();
    this.#cancel?.();
  }

  #plan(ms: number): void {
    if (this.#cancel !== undefined || this.#flushing !== undefined || this.#stopping.signal.aborted) return;
    this.#cancel = this.#clock.after(ms, () => {
      this.#cancel = undefined;
      this.#flushing = this.#flush().finally(() => {
        this.#flushing = undefined;
        if (this.#dirty.size > 0) this.#plan(GATHER_MS);
      });
    });
  }

  async #flush(): Promise<void> {
    const streams = [...this.#dirty];
    this.#dirty = new Set();
    const results = await Promise.all(streams.map((stream) => this.#acknowledge(stream)));
    this.#onProgress();
    if (results.includes(false))
      await new Promise<void>((resolve) => void this.#clock.after(RETRY_MS, resolve));
  }

  async #acknowledge(stream: BridgedStream): Promise<boolean> {
    const { epoch } = stream;
    const ids = stream.toAck.splice(0, MAX_IDS);
    if (ids.length === 0) return true;
    stream.acking = ids;
    try {
      await this.#operations.admit(this.#stopping.signal);
      await this.#source.acknowledge(stream.key, ids);
      if (stream.toAck.length > 0) this.#dirty.add(stream);
      return true;
    } catch (error) {
      this.#log.debug('acknowledging is to be repeated', { stream: stream.shown, error: errorText(error) });
      // Ids of a group that was lost meanwhile mean nothing to the new one.
      if (stream.epoch === epoch) stream.toAck = [...ids, ...stream.toAck];
      this.#dirty.add(stream);
      return false;
    } finally {
      stream.acking = [];
    }
  }
}
