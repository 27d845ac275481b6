import type { Admin, Kafka } from 'kafkajs';
import type { Clock, Log } from '@iotedge-redis/common';
import { exponential, sleep, SuiteError } from '@iotedge-redis/common';
import type { Watermarks } from '../apply/claim.ts';
import type { SourceEvents } from './consumer-events.ts';
import type { GroupSession } from './group-session.ts';
import { kafkaError } from './kafka-errors.ts';
import { committedOf, watermarksOf } from './kafka-offsets.ts';
import type { TopicPartition } from '../record.ts';
import type { IngestSettings } from '../settings.ts';

/** A consumer that lasted so long ended for a new reason. */
const STEADY_MS = 30_000;

export interface SourceStatus {
  readonly state: 'connecting' | 'ready' | 'down';
  readonly reason?: string;
}

/**
 * The consumer of the client library behind an interface of our own. It is made anew after every failure that the library
 * gives up on, until `stop`.
 */
export class KafkaSource {
  readonly #settings: IngestSettings;
  readonly #create: () => Promise<Kafka>;
  readonly #events: SourceEvents;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #stopping = new AbortController();
  #status: SourceStatus = { state: 'connecting' };
  #session: GroupSession | undefined;
  #running: Promise<void> | undefined;

  constructor(
    settings: IngestSettings,
    create: () => Promise<Kafka>,
    events: SourceEvents,
    clock: Clock,
    log: Log,
  ) {
    this.#settings = settings;
    this.#create = create;
    this.#events = events;
    this.#clock = clock;
    this.#log = log;
  }

  get status(): SourceStatus {
    return this.#status;
  }

  get clusterId(): string {
    return this.#session?.clusterId ?? '';
  }

  get topics(): readonly string[] {
    return this.#session?.topics ?? [];
  }

  /** Connects once, to find out whether it can work; from then on it keeps itself connected. */
  async start(): Promise<void> {
    await this.#open();
    this.#running = this.#keep();
  }

  async stop(): Promise<void> {
    await this.#session?.commit();
    this.#stopping.abort();
    await this.#running;
  }

  /** Fetching of a partition goes on at the offset. */
  begin(place: TopicPartition, offset: number): void {
    this.#session?.begin(place, offset);
  }

  pause(place: TopicPartition): void {
    this.#session?.pause(place);
  }

  watermarks(topic: string): Promise<ReadonlyMap<number, Watermarks>> {
    return this.#asking('looking up offsets', (admin) => watermarksOf(admin, topic));
  }

  /** What Kafka keeps for the group. */
  committed(topic: string): Promise<ReadonlyMap<number, number>> {
    const { group } = this.#settings;
    return this.#asking('looking up committed offsets', (admin) => committedOf(admin, group, topic));
  }

  #asking<T>(doing: string, ask: (admin: Admin) => Promise<T>): Promise<T> {
    if (this.#session !== undefined) return ask(this.#session.admin);
    return Promise.reject(
      new SuiteError('KAFKA_UNAVAILABLE', `${doing}: not connected to Kafka`, { retryable: true }),
    );
  }

  async #keep(): Promise<void> {
    const { signal } = this.#stopping;
    const schedule = exponential({ firstMs: 250, maxMs: 10_000 });
    for (let failures = 0; ;) {
      const since = this.#clock.now();
      const reason = await this.#session?.ended;
      await this.#close();
      if (signal.aborted) return;
      this.#down(reason);
      if (reason === undefined || this.#clock.now() - since > STEADY_MS) failures = 0;
      while (this.#session === undefined) {
        failures += 1;
        try {
          await sleep(schedule(failures), signal, this.#clock);
          await this.#open();
        } catch (error) {
          if (this.#stopping.signal.aborted) return;
          this.#down(error);
        }
      }
    }
  }

  async #open(): Promise<void> {
    const { openSession } = await import('./group-session.ts');
    this.#session = await openSession(await this.#create(), {
      settings: this.#settings,
      clock: this.#clock,
      log: this.#log,
      signal: this.#stopping.signal,
      events: {
        ...this.#events,
        assigned: (places) => {
          this.#status = { state: 'ready' };
          this.#events.assigned(places);
        },
      },
    });
  }

  async #close(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    this.#events.assigned([]);
    await session?.close();
  }

  #down(error: unknown): void {
    if (error === undefined) {
      this.#status = { state: 'connecting' };
      return;
    }
    const reason = kafkaError(error, 'reading from Kafka').message;
    const isNews = this.#status.reason !== reason;
    this.#status = { state: 'down', reason };
    if (isNews) this.#log.warn('Kafka is not available', { reason });
    this.#events.changed();
  }
}
