import type { Admin, Consumer, EachBatchPayload, Kafka } from 'kafkajs';
import type { Clock, Log } from '@iotedge-redis/common';
import { errorText, exponential, sleep, SuiteError } from '@iotedge-redis/common';
import type { Watermarks } from './claim.ts';
import { kafkaError } from './kafka-errors.ts';
import type { FetchedBatch, TopicPartition } from './record.ts';
import type { IngestSettings } from './settings.ts';
import { patternOf } from './settings-kafka.ts';

/** What the source tells the module. All are called synchronously, in the order of what happens. */
export interface SourceEvents {
  /** All partitions that are ours from now on. Nothing is fetched of them before `begin`. */
  assigned(partitions: readonly TopicPartition[]): void;
  /** Answers a promise when the batch is taken: true when another one is wanted, false when this one was thrown away. */
  batch(batch: FetchedBatch): Promise<boolean> | undefined;
  /** Offsets that hold nothing for us were passed over. */
  skipped(place: TopicPartition, first: number | undefined, end: number): void;
  /** Positions to tell Kafka of. */
  positions(): readonly (TopicPartition & { readonly next: number })[];
  changed(): void;
}

/** A consumer at work. `ended` resolves with the reason when it has come to its end; without one, when topics have come or gone. */
interface Opened {
  readonly ended: Promise<unknown>;
}

/** A consumer that lasted so long ended for a new reason. */
const STEADY_MS = 30_000;
const COMMIT_EVERY_MS = 5000;
const LIST_EVERY_MS = 60_000;
/** A partition whose batch waits for longer is paused, so that the others are fetched on. */
const PATIENCE_MS = 2000;

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
  readonly #create: () => Kafka;
  readonly #events: SourceEvents;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #stopping = new AbortController();
  #status: SourceStatus = { state: 'connecting' };
  #clusterId = '';
  #admin: Admin | undefined;
  #consumer: Consumer | undefined;
  #topics: readonly string[] = [];
  #running: Promise<void> | undefined;
  #committed = new Map<string, number>();

  constructor(settings: IngestSettings, create: () => Kafka, events: SourceEvents, clock: Clock, log: Log) {
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
    return this.#clusterId;
  }

  get topics(): readonly string[] {
    return this.#topics;
  }

  /** Connects once, to find out whether it can work; from then on it keeps itself connected. */
  async start(): Promise<void> {
    this.#running = this.#keep(await this.#open());
  }

  async stop(): Promise<void> {
    await this.#commit();
    this.#stopping.abort();
    await this.#running;
  }

  /** Fetching of a partition goes on at the offset. */
  begin(place: TopicPartition, offset: number): void {
    this.#consumer?.seek({ ...place, offset: String(offset) });
    this.#consumer?.resume([partitions(place)]);
  }

  pause(place: TopicPartition): void {
    this.#consumer?.pause([partitions(place)]);
  }

  async watermarks(topic: string): Promise<ReadonlyMap<number, Watermarks>> {
    const admin = this.#admin;
    if (admin === undefined) throw notConnected('looking up offsets');
    try {
      const found = await admin.fetchTopicOffsets(topic);
      return new Map(
        found.map(({ partition, low, high }) => [partition, { low: Number(low), high: Number(high) }]),
      );
    } catch (error) {
      throw kafkaError(error, `looking up offsets of ${topic}`);
    }
  }

  /** What Kafka keeps for the group. */
  async committed(topic: string): Promise<ReadonlyMap<number, number>> {
    const admin = this.#admin;
    if (admin === undefined) throw notConnected('looking up committed offsets');
    try {
      const [found] = await admin.fetchOffsets({ groupId: this.#settings.group, topics: [topic] });
      const known = (found?.partitions ?? []).filter(({ offset }) => Number(offset) >= 0);
      return new Map(known.map(({ partition, offset }) => [partition, Number(offset)]));
    } catch (error) {
      throw kafkaError(error, `looking up committed offsets of ${topic}`);
    }
  }

  async #keep(first: Opened): Promise<void> {
    const { signal } = this.#stopping;
    const schedule = exponential({ firstMs: 250, maxMs: 10_000 });
    let opened: Opened | undefined = first;
    for (let failures = 0; ;) {
      const since = this.#clock.now();
      const reason = await opened.ended;
      await this.#close();
      if (signal.aborted) return;
      this.#down(reason);
      if (reason === undefined || this.#clock.now() - since > STEADY_MS) failures = 0;
      opened = undefined;
      while (opened === undefined) {
        failures += 1;
        try {
          await sleep(schedule(failures), signal, this.#clock);
          opened = await this.#open();
        } catch (error) {
          if (this.#stopping.signal.aborted) return;
          this.#down(error);
        }
      }
    }
  }

  async #open(): Promise<Opened> {
    const kafka = this.#create();
    const admin = kafka.admin();
    this.#admin = admin;
    try {
      await admin.connect();
      const { clusterId } = await admin.describeCluster();
      this.#clusterId = clusterId;
      this.#topics = await this.#list(admin);
      return { ended: this.#consume(kafka) };
    } catch (error) {
      await this.#close();
      throw kafkaError(error, `connecting to Kafka at ${this.#settings.brokers.join(', ')}`);
    }
  }

  /** The topics that exist of those that are wanted. */
  async #list(admin: Admin): Promise<readonly string[]> {
    const known = await admin.listTopics();
    const wanted = this.#settings.topics.flatMap((topic) => {
      const pattern = patternOf(topic);
      if (pattern === undefined || pattern === null) return [topic];
      return known.filter((each) => pattern.test(each) && !each.startsWith('__'));
    });
    const missing = wanted.filter((topic) => !known.includes(topic));
    if (missing.length > 0)
      throw new SuiteError(
        'KAFKA_REFUSED',
        `looking for topics: ${missing.join(', ')} does not exist (or may not be read); create it, or correct KAFKA_TOPIC`,
        { retryable: true },
      );
    return [...new Set(wanted)].sort();
  }

  async #consume(kafka: Kafka): Promise<unknown> {
    const { group, sessionTimeoutMs, fetchBytes, fetchTotalBytes, fetchWaitMs } = this.#settings;
    const consumer = kafka.consumer({
      groupId: group,
      sessionTimeout: sessionTimeoutMs,
      rebalanceTimeout: Math.max(sessionTimeoutMs, 10_000),
      heartbeatInterval: Math.max(100, Math.floor(sessionTimeoutMs / 5)),
      maxBytesPerPartition: fetchBytes,
      maxBytes: fetchTotalBytes,
      maxWaitTimeInMs: Math.min(fetchWaitMs, Math.floor(sessionTimeoutMs / 3)),
      minBytes: 1,
      metadataMaxAge: LIST_EVERY_MS,
      allowAutoTopicCreation: false,
      readUncommitted: false,
      // A fresh consumer is made here, with our own waits.
      retry: {
        initialRetryTime: 100,
        maxRetryTime: 2000,
        retries: 4,
        restartOnFailure: () => Promise.resolve(false),
      },
    });
    this.#consumer = consumer;
    const ended = new Promise<unknown>((resolve) => {
      consumer.on(consumer.events.CRASH, ({ payload }) => resolve(payload.error));
      this.#stopping.signal.addEventListener('abort', () => resolve(undefined), { once: true });
      this.#watch(consumer, resolve);
    });
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) =>
      this.#joined(consumer, payload.memberAssignment),
    );
    consumer.on(consumer.events.START_BATCH_PROCESS, ({ payload }) => {
      if (payload.batchSize > 0) return;
      const { topic, partition, firstOffset, lastOffset } = payload;
      const first: unknown = firstOffset;
      this.#events.skipped(
        { topic, partition },
        first === null ? undefined : Number(first),
        Number(lastOffset) + 1,
      );
    });
    try {
      await consumer.connect();
      if (this.#topics.length === 0) return await ended;
      await consumer.subscribe({ topics: [...this.#topics], fromBeginning: true });
      await consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: 64,
        eachBatch: (payload) => this.#batch(consumer, payload),
      });
    } catch (error) {
      return error;
    }
    return await ended;
  }

  #joined(consumer: Consumer, assignment: Readonly<Record<string, number[]>>): void {
    if (consumer !== this.#consumer) return;
    const ours = Object.entries(assignment).flatMap(([topic, numbers]) =>
      numbers.map((partition) => ({ topic, partition })),
    );
    // Kafka's own idea of where to go on does not count: nothing is fetched until Redis was asked.
    consumer.pause(Object.entries(assignment).map(([topic, numbers]) => ({ topic, partitions: numbers })));
    this.#committed.clear();
    this.#status = { state: 'ready' };
    this.#log.info('joined the consumer group', { group: this.#settings.group, partitions: ours.length });
    this.#events.assigned(ours);
    this.#events.changed();
  }

  async #batch(consumer: Consumer, payload: EachBatchPayload): Promise<void> {
    const { batch } = payload;
    if (!payload.isRunning() || payload.isStale() || consumer !== this.#consumer) return;
    const { topic, partition } = batch;
    const last = batch.lastOffset();
    const taken = this.#events.batch({
      topic,
      partition,
      from: fetchedFrom(batch),
      records: batch.messages,
      end: Number(last) + 1,
      high: Number(batch.highWatermark),
    });
    if (taken === undefined) return;
    payload.resolveOffset(last);
    const until = this.#clock.now() + PATIENCE_MS;
    const stepMs = Math.max(50, Math.floor(this.#settings.sessionTimeoutMs / 10));
    for (;;) {
      const outcome = await withinMs(taken, stepMs, this.#clock);
      if (outcome !== undefined) return;
      await payload.heartbeat();
      if (this.#clock.now() < until) continue;
      // The fetching loop sends the heartbeats from here on.
      this.pause({ topic, partition });
      void taken.then((isWanted) => {
        if (isWanted && consumer === this.#consumer) consumer.resume([partitions({ topic, partition })]);
      });
      return;
    }
  }

  /** Commits now and then, and looks for topics that a pattern takes. */
  #watch(consumer: Consumer, end: (reason: unknown) => void): void {
    const { signal } = this.#stopping;
    const isCurrent = (): boolean => !signal.aborted && consumer === this.#consumer;
    const commit = (): void =>
      void this.#clock.after(COMMIT_EVERY_MS, () => {
        if (isCurrent()) void this.#commit().then(commit);
      });
    const list = (): void =>
      void this.#clock.after(LIST_EVERY_MS, () => {
        if (!isCurrent()) return;
        this.#hasNewTopics().then(
          (found) => {
            if (found.length === 0) {
              list();
              return;
            }
            this.#log.info('topics have come or gone', { topics: found.join(', ') });
            end(undefined);
          },
          () => list(),
        );
      });
    commit();
    if (this.#settings.topics.some((topic) => patternOf(topic) !== undefined)) list();
  }

  async #hasNewTopics(): Promise<readonly string[]> {
    if (this.#admin === undefined) return [];
    const now = await this.#list(this.#admin);
    const came = now.filter((topic) => !this.#topics.includes(topic));
    const went = this.#topics.filter((topic) => !now.includes(topic));
    return [...came, ...went];
  }

  /** A hint for people and tools that look at the group; Redis' positions are what counts. */
  async #commit(): Promise<void> {
    const consumer = this.#consumer;
    const name = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`;
    const fresh = this.#events.positions().filter((each) => this.#committed.get(name(each)) !== each.next);
    if (consumer === undefined || fresh.length === 0) return;
    try {
      await consumer.commitOffsets(
        fresh.map(({ topic, partition, next }) => ({ topic, partition, offset: String(next) })),
      );
      for (const each of fresh) this.#committed.set(name(each), each.next);
    } catch (error) {
      this.#log.debug('Kafka did not take the positions', { error: errorText(error) });
    }
  }

  async #close(): Promise<void> {
    const consumer = this.#consumer;
    const admin = this.#admin;
    this.#consumer = undefined;
    this.#admin = undefined;
    this.#events.assigned([]);
    await consumer?.disconnect().catch(() => undefined);
    await admin?.disconnect().catch(() => undefined);
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

function partitions({ topic, partition }: TopicPartition): { topic: string; partitions: number[] } {
  return { topic, partitions: [partition] };
}

/** The offset that was asked for. The library's types do not name it; without it no batch could be told from an outdated one. */
function fetchedFrom(batch: EachBatchPayload['batch']): number {
  const from: unknown = Reflect.get(batch, 'fetchedOffset');
  if (typeof from !== 'string' && typeof from !== 'number')
    throw new SuiteError(
      'INTERNAL',
      'reading a batch: the client library does not say which offset was asked for',
    );
  return Number(from);
}

function notConnected(doing: string): SuiteError {
  return new SuiteError('KAFKA_UNAVAILABLE', `${doing}: not connected to Kafka`, { retryable: true });
}

/** The promise's value, or undefined after the time. */
function withinMs<T>(promise: Promise<T>, ms: number, clock: Clock): Promise<T | undefined> {
  return new Promise((resolve) => {
    const cancel = clock.after(ms, () => resolve(undefined));
    void promise.then((value) => {
      cancel();
      resolve(value);
    });
  });
}
