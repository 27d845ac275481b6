import type { Clock, Edge, Log } from '@iotedge-redis/common';
import { errorText, SuiteError, systemClock } from '@iotedge-redis/common';
import type { Message, Refusal, Sink, SinkEvents, SinkStatus } from './sink.ts';
import { textOf } from '../shape/text-of.ts';

export interface EdgehubSinkOptions {
  readonly edge: Pick<Edge, 'send' | 'status'>;
  readonly output: string;
  /** Least time between two messages: IoT Hub bills each. */
  readonly intervalMs: number;
  readonly maxEntries: number;
  /** IoT Hub takes 256 KB at most, properties included. */
  readonly maxBytes: number;
  readonly sendTimeoutMs: number;
  readonly log: Log;
  readonly clock?: Clock;
}

/** Brackets and the properties of the message. */
const OVERHEAD = 1024;
const LOST_RETRY_MS = 2000;

/**
 * Sends entries to an output of the module, several in one message as a JSON array. One message is under way at a time, so
 * that a failed one cannot be overtaken; the next one gathers meanwhile.
 */
export class EdgehubSink<K> implements Sink<K> {
  readonly place: string;
  readonly #options: EdgehubSinkOptions;
  readonly #clock: Clock;
  #events: SinkEvents<K> | undefined;
  #waiting: { readonly key: K; readonly message: Message }[] = [];
  #isSending = false;
  #generation = 0;
  #nextAt = 0;
  #cancel: (() => void) | undefined;
  #status: SinkStatus;

  constructor(options: EdgehubSinkOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.place = `edgeHub output ${options.output}`;
    this.#status = { state: 'connecting', since: new Date(this.#clock.now()) };
  }

  get status(): SinkStatus {
    return this.#status;
  }

  get window(): number {
    return this.#options.maxEntries * 2;
  }

  start(events: SinkEvents<K>): void {
    this.#events = events;
    this.#become('ready');
    this.#cancel = this.#clock.after(0, () => {
      this.#cancel = undefined;
      events.ready();
    });
  }

  refusal(message: Message): Refusal | undefined {
    const limit = this.#options.maxBytes - OVERHEAD;
    if (message.payload.length <= limit) return undefined;
    return {
      code: 'TOO_LARGE',
      text: `the entry has ${message.payload.length} bytes and a message takes ${limit}`,
    };
  }

  publish(key: K, message: Message): void {
    this.#waiting.push({ key, message });
    this.#plan();
  }

  control(): void {
    // An output has no message that is known to be good; being connected has to do.
    const { state } = this.#options.edge.status;
    if (state === 'connected') this.#clock.after(0, () => this.#events?.controlPassed());
    else this.recycle('edgeHub is not connected');
  }

  recycle(reason: string): void {
    if (this.#status.state !== 'ready') return;
    this.#generation += 1;
    this.#waiting = [];
    this.#cancel?.();
    this.#cancel = undefined;
    this.#become('down', reason);
    this.#events?.lost(reason);
    this.#cancel = this.#clock.after(LOST_RETRY_MS, () => {
      this.#cancel = undefined;
      this.#become('ready');
      this.#events?.ready();
    });
  }

  stop(): Promise<void> {
    this.#generation += 1;
    this.#cancel?.();
    this.#become('stopped');
    return Promise.resolve();
  }

  #plan(): void {
    if (this.#isSending || this.#cancel !== undefined || this.#status.state !== 'ready') return;
    if (this.#waiting.length === 0) return;
    this.#cancel = this.#clock.after(Math.max(1, this.#nextAt - this.#clock.now()), () => {
      this.#cancel = undefined;
      void this.#send();
    });
  }

  async #send(): Promise<void> {
    const batch = this.#takeBatch();
    const generation = this.#generation;
    const { edge, output, intervalMs, sendTimeoutMs } = this.#options;
    this.#isSending = true;
    this.#nextAt = this.#clock.now() + intervalMs;
    const cancelDeadline = this.#clock.after(sendTimeoutMs, () => {
      if (generation === this.#generation) this.recycle(`edgeHub did not answer within ${sendTimeoutMs} ms`);
    });
    const data = Buffer.from(`[${batch.map(({ message }) => jsonOf(message)).join(',')}]`);
    try {
      await edge.send(output, {
        data,
        contentType: 'application/json',
        contentEncoding: 'utf-8',
        properties: { entries: String(batch.length) },
      });
      if (generation === this.#generation) for (const { key } of batch) this.#events?.acked(key);
    } catch (error) {
      if (generation === this.#generation) this.#failed(batch, error);
    } finally {
      cancelDeadline();
      this.#isSending = false;
      this.#plan();
    }
  }

  #failed(batch: readonly { readonly key: K }[], error: unknown): void {
    const [only] = batch;
    const isRefused = error instanceof SuiteError && error.code === 'EDGE_REFUSED';
    if (isRefused && batch.length === 1 && only !== undefined) {
      this.#events?.refused(only.key, { code: 'EDGE_REFUSED', text: errorText(error) });
      return;
    }
    this.recycle(errorText(error));
  }

  #takeBatch(): { readonly key: K; readonly message: Message }[] {
    let bytes = OVERHEAD;
    let count = 0;
    for (const { message } of this.#waiting) {
      bytes += message.payload.length + 1;
      if (count > 0 && (bytes > this.#options.maxBytes || count >= this.#options.maxEntries)) break;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }

  #become(state: SinkStatus['state'], reason?: string): void {
    if (this.#status.state === 'stopped') return;
    this.#status = { state, since: new Date(this.#clock.now()), ...(reason === undefined ? {} : { reason }) };
  }
}

/** A payload taken raw from a field need not be JSON: it goes as a text then, flagged when it had to be base64. */
function jsonOf(message: Message): string {
  if (message.isJson) return message.payload.toString();
  const text = textOf(message.payload);
  return JSON.stringify({
    stream: message.stream,
    id: message.id,
    payload: text ?? message.payload.toString('base64'),
    ...(text === undefined ? { base64: ['payload'] } : {}),
  });
}
