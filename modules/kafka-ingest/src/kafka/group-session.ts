import type { Admin, Consumer, EachBatchPayload, Kafka } from 'kafkajs';
import type { Clock, Log } from '@iotedge-redis/common';
import { errorText, SuiteError } from '@iotedge-redis/common';
import type { SourceEvents } from './consumer-events.ts';
import { kafkaError } from './kafka-errors.ts';
import { partitionShares } from './partition-shares.ts';
import type { TopicPartition } from '../record.ts';
import type { IngestSettings } from '../settings.ts';
import { hasPatterns, listTopics } from './wanted-topics.ts';

const COMMIT_EVERY_MS = 5000;
const LIST_EVERY_MS = 60_000;
/** A partition whose batch waits for longer is paused, so that the others are fetched on. */
const PATIENCE_MS = 2000;

export interface SessionOptions {
  readonly settings: IngestSettings;
  readonly events: SourceEvents;
  readonly clock: Clock;
  readonly log: Log;
  /** Ends the session. */
  readonly signal: AbortSignal;
}

/** Finds out whether Kafka can be worked with, and begins to. */
export async function openSession(kafka: Kafka, options: SessionOptions): Promise<GroupSession> {
  const { brokers, topics } = options.settings;
  const admin = kafka.admin();
  try {
    await admin.connect();
    const { clusterId } = await admin.describeCluster();
    return new GroupSession(kafka, { admin, clusterId, topics: await listTopics(admin, topics) }, options);
  } catch (error) {
    await admin.disconnect().catch(() => undefined);
    throw kafkaError(error, `connecting to Kafka at ${brokers.join(', ')}`);
  }
}

/** One membership of the consumer group, from joining to the failure that the client library gives up on. */
export class GroupSession {
  readonly admin: Admin;
  readonly clusterId: string;
  readonly topics: readonly string[];
  /** Resolves when it has come to its end: with the reason, or without one when topics have come or gone. */
  readonly ended: Promise<unknown>;
  readonly #options: SessionOptions;
  readonly #consumer: Consumer;
  readonly #committed = new Map<string, number>();
  #isOpen = true;

  constructor(
    kafka: Kafka,
    found: { readonly admin: Admin; readonly clusterId: string; readonly topics: readonly string[] },
    options: SessionOptions,
  ) {
    this.admin = found.admin;
    this.clusterId = found.clusterId;
    this.topics = found.topics;
    this.#options = options;
    this.#consumer = kafka.consumer(consumerConfig(options.settings));
    this.ended = this.#consume();
  }

  /** Fetching of a partition goes on at the offset. */
  begin(place: TopicPartition, offset: number): void {
    this.#consumer.seek({ ...place, offset: String(offset) });
    this.#consumer.resume([partitions(place)]);
  }

  pause(place: TopicPartition): void {
    this.#consumer.pause([partitions(place)]);
  }

  /** A hint for people and tools that look at the group; Redis' positions are what counts. */
  async commit(): Promise<void> {
    const name = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`;
    const positions = this.#options.events.positions();
    const fresh = positions.filter((each) => this.#committed.get(name(each)) !== each.next);
    if (fresh.length === 0) return;
    try {
      await this.#consumer.commitOffsets(
        fresh.map(({ topic, partition, next }) => ({ topic, partition, offset: String(next) })),
      );
      for (const each of fresh) this.#committed.set(name(each), each.next);
    } catch (error) {
      this.#options.log.debug('Kafka did not take the positions', { error: errorText(error) });
    }
  }

  async close(): Promise<void> {
    this.#isOpen = false;
    await this.#consumer.disconnect().catch(() => undefined);
    await this.admin.disconnect().catch(() => undefined);
  }

  async #consume(): Promise<unknown> {
    const consumer = this.#consumer;
    const { signal, events } = this.#options;
    const ended = new Promise<unknown>((resolve) => {
      consumer.on(consumer.events.CRASH, ({ payload }) => resolve(payload.error));
      if (signal.aborted) resolve(undefined);
      signal.addEventListener('abort', () => resolve(undefined), { once: true });
      this.#watch(resolve);
    });
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => this.#joined(payload.memberAssignment));
    consumer.on(consumer.events.START_BATCH_PROCESS, ({ payload }) => {
      if (payload.batchSize > 0 || !this.#isOpen) return;
      const { topic, partition, firstOffset, lastOffset } = payload;
      const first: unknown = firstOffset;
      events.skipped(
        { topic, partition },
        first === null ? undefined : Number(first),
        Number(lastOffset) + 1,
      );
    });
    try {
      await consumer.connect();
      if (this.topics.length === 0) return await ended;
      await consumer.subscribe({ topics: [...this.topics], fromBeginning: true });
      await consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: 64,
        eachBatch: (payload) => this.#batch(payload),
      });
    } catch (error) {
      return error;
    }
    return await ended;
  }

  #joined(assignment: Readonly<Record<string, number[]>>): void {
    if (!this.#isOpen) return;
    const { events, log, settings } = this.#options;
    const ours = Object.entries(assignment).flatMap(([topic, numbers]) =>
      numbers.map((partition) => ({ topic, partition })),
    );
    // Kafka's own idea of where to go on does not count: nothing is fetched until Redis was asked.
    this.#consumer.pause(
      Object.entries(assignment).map(([topic, numbers]) => ({ topic, partitions: numbers })),
    );
    this.#committed.clear();
    log.info('joined the consumer group', { group: settings.group, partitions: ours.length });
    events.assigned(ours);
    events.changed();
  }

  async #batch(payload: EachBatchPayload): Promise<void> {
    const { batch } = payload;
    if (!payload.isRunning() || payload.isStale() || !this.#isOpen) return;
    const { topic, partition } = batch;
    const last = batch.lastOffset();
    const taken = this.#options.events.batch({
      topic,
      partition,
      from: fetchedFrom(batch),
      records: batch.messages,
      end: Number(last) + 1,
      high: Number(batch.highWatermark),
    });
    if (taken === undefined) return;
    payload.resolveOffset(last);
    const stepMs = Math.max(50, Math.floor(this.#options.settings.sessionTimeoutMs / 10));
    // By steps: a clock that is set back must not make it wait for longer.
    for (let waitedMs = 0; waitedMs < PATIENCE_MS; waitedMs += stepMs) {
      if ((await withinMs(taken, stepMs, this.#options.clock)) !== undefined) return;
      await payload.heartbeat();
    }
    // The fetching loop sends the heartbeats from here on.
    this.pause({ topic, partition });
    void taken.then((isWanted) => {
      if (isWanted && this.#isOpen) this.#consumer.resume([partitions({ topic, partition })]);
    });
  }

  /** Commits now and then, and looks for topics that a pattern takes. */
  #watch(end: (reason: unknown) => void): void {
    const { clock, settings, signal } = this.#options;
    const again = (ms: number, act: () => Promise<void>): void =>
      void clock.after(ms, () => {
        if (this.#isOpen && !signal.aborted) void act().then(() => again(ms, act));
      });
    again(COMMIT_EVERY_MS, () => this.commit());
    if (hasPatterns(settings.topics)) again(LIST_EVERY_MS, () => this.#lookForTopics(end));
  }

  async #lookForTopics(end: (reason: unknown) => void): Promise<void> {
    const { log, settings } = this.#options;
    // When Kafka cannot be asked now, it is asked again in a minute.
    const now = await listTopics(this.admin, settings.topics).catch(() => this.topics);
    const changed = [
      ...now.filter((topic) => !this.topics.includes(topic)),
      ...this.topics.filter((topic) => !now.includes(topic)),
    ];
    if (changed.length === 0 || !this.#isOpen) return;
    log.info('topics have come or gone', { topics: changed.join(', ') });
    end(undefined);
  }
}

function consumerConfig(settings: IngestSettings): Parameters<Kafka['consumer']>[0] {
  const { group, sessionTimeoutMs, fetchBytes, fetchTotalBytes, fetchWaitMs } = settings;
  return {
    groupId: group,
    partitionAssigners: [partitionShares],
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
    // A fresh consumer is made by the source, with its own waits.
    retry: {
      initialRetryTime: 100,
      maxRetryTime: 2000,
      retries: 4,
      restartOnFailure: () => Promise.resolve(false),
    },
  };
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
