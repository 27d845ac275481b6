import type {
  Clock,
  Component,
  ComponentHealth,
  JsonObject,
  Log,
  MethodHandler,
  ModuleContext,
  TokenBucket,
} from '@iotedge-redis/common';
import {
  optionalBucket,
  RedisConnection,
  redisTarget,
  sleep,
  SuiteError,
  systemClock,
} from '@iotedge-redis/common';
import { Assignment } from './assignment.ts';
import { DEAD_LETTERS } from './own-keys.ts';
import { Gate } from './gate.ts';
import { ingestMethods } from './ingest-methods.ts';
import type { Shared } from './ingest-metrics.ts';
import { laneStatus, Rate } from './ingest-status.ts';
import type { IngestView } from './ingest-view.ts';
import { createKafka } from './kafka-client.ts';
import { KafkaSource } from './kafka-source.ts';
import { MemoryGuard } from './memory-guard.ts';
import { PartitionLane } from './partition-lane.ts';
import { changesKey, positionKey, Positions } from './positions.ts';
import type { TopicPartition } from './record.ts';
import { RedisSink } from './redis-sink.ts';
import type { ReplayRequest, ReplayResult } from './replay.ts';
import { replayDeadLetters } from './replay.ts';
import type { IngestSettings } from './settings.ts';
import { shapeOf } from './settings.ts';
import type { Shape } from './shape.ts';

const MODULE = 'kafka-ingest';
const SETTING = 'setting';
const METHOD = 'method';

export type IngestContext = Pick<ModuleContext, 'instance' | 'log' | 'report'>;

/** Kafka → lanes → Redis: every record takes effect once. */
export class Ingest implements Component<IngestSettings>, IngestView {
  readonly name = 'ingest';
  readonly methods: Readonly<Record<string, MethodHandler>>;
  #settings: IngestSettings;
  #shape: Shape;
  #bucket: TokenBucket | undefined;
  readonly #context: IngestContext;
  readonly #shared: Shared;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #gate = new Gate();
  readonly #listeners: (() => void)[] = [];
  readonly #rates = new WeakMap<PartitionLane, Rate>();
  readonly #stopping = new AbortController();
  readonly #redis: RedisConnection;
  readonly #source: KafkaSource;
  readonly #assignment: Assignment;
  readonly #sink: RedisSink;
  readonly #guard: MemoryGuard;

  constructor(settings: IngestSettings, context: IngestContext, shared: Shared, clock: Clock = systemClock) {
    this.#settings = settings;
    this.#shape = shapeOf(settings);
    this.#context = context;
    this.#shared = shared;
    this.#clock = clock;
    this.#log = context.log.child('ingest');
    this.methods = ingestMethods(this);
    this.#limitRate();
    const target = redisTarget(settings);
    this.#redis = new RedisConnection({ target, name: context.instance, log: this.#log });
    this.#sink = new RedisSink(this.#redis, target.commandTimeoutMs);
    this.#source = new KafkaSource(
      settings,
      () => createKafka(settings, context.instance, this.#log, () => clock.now()),
      {
        assigned: (places) => this.#assignment.set(places),
        batch: (batch) => this.#assignment.find(batch)?.accept(batch),
        skipped: (place, first, end) => this.#assignment.find(place)?.skipped(first, end),
        positions: () => this.#positions(),
        changed: () => this.#changed(),
      },
      clock,
      this.#log,
    );
    this.#assignment = new Assignment({
      source: this.#source,
      positions: new Positions(this.#redis, settings.group),
      policy: () => this.#settings,
      createLane: (place) => this.#createLane(place),
      clock,
      log: this.#log,
      onChange: () => this.#changed(),
    });
    this.#guard = new MemoryGuard(
      this.#redis,
      this.#gate,
      () => this.#settings,
      clock,
      () => this.#changed(),
    );
    this.#redis.onStatus(() => this.#changed());
  }

  get lanes(): readonly PartitionLane[] {
    return this.#assignment.lanes;
  }

  get pauses(): ReadonlyMap<string, string> {
    return this.#gate.reasons;
  }

  get isConnected(): boolean {
    return this.#source.status.state === 'ready';
  }

  get memoryPercent(): number | undefined {
    return this.#guard.usedPercent;
  }

  async start(signal: AbortSignal): Promise<void> {
    await this.#redis.connect(signal);
    await this.#refuseCluster();
    await this.#source.start();
    this.#applyPause();
    this.#guard.start();
    this.#shared.working = this;
    this.#changed();
  }

  async stop(signal: AbortSignal): Promise<void> {
    if (this.#shared.working === this) delete this.#shared.working;
    this.#stopping.abort();
    this.#guard.stop();
    this.#gate.open();
    await this.#assignment.stop();
    await this.#source.stop();
    await this.#redis.close(signal);
  }

  applyLive(settings: IngestSettings): void {
    this.#settings = settings;
    this.#shape = shapeOf(settings);
    this.#limitRate();
    this.#applyPause();
    // What was refused under the old settings may do under the new ones.
    this.#assignment.release();
    this.#changed();
  }

  onHealthChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  health(): ComponentHealth {
    const data = this.summary();
    const { state, error } = this.#redis.status;
    if (state !== 'ready') return { state: 'down', detail: error?.message ?? 'Redis is not connected', data };
    const { status } = this.#source;
    if (status.state === 'down')
      return { state: 'degraded', detail: status.reason ?? 'Kafka is not connected', data };
    if (status.state === 'connecting') return { state: 'ok', detail: 'joining the consumer group', data };
    const [pause] = this.pauses.values();
    if (pause !== undefined) return { state: 'degraded', detail: `paused: ${pause}`, data };
    const odd = this.lanes.find(({ problem }) => problem !== undefined);
    if (odd === undefined) return { state: 'ok', data };
    return { state: 'degraded', detail: `${odd.topic}/${odd.partition}: ${odd.problem ?? ''}`, data };
  }

  pause(): void {
    this.#gate.close(METHOD, 'the method Pause was called');
    this.#changed();
  }

  /** Ends the pause of the method and what waits for a person; the setting stands. */
  resume(): void {
    this.#gate.open(METHOD);
    this.#assignment.release();
    this.#changed();
  }

  summary(): JsonObject {
    const { totals } = this.#shared;
    const { lanes } = this;
    const [paused = null] = this.pauses.values();
    const worst = lanes.find(({ problem }) => problem !== undefined)?.problem;
    const mismatch = lanes.find((lane) => lane.mismatch !== undefined)?.mismatch;
    return {
      kafka: this.#source.status.state,
      topics: this.#source.topics.length,
      partitionsAssigned: lanes.length,
      lag: lanes.reduce((sum, lane) => sum + (lane.lag ?? 0), 0),
      applied: totals.applied,
      deadLettered: totals.deadLettered,
      skipped: totals.skipped,
      lost: totals.lost,
      paused,
      problem: worst ?? null,
      mismatch: mismatch ?? null,
    };
  }

  statusOf(lanes: readonly PartitionLane[]): JsonObject[] {
    const now = this.#clock.now();
    return lanes.map((lane) => {
      const rate = this.#rates.get(lane) ?? new Rate(now, lane.counters.applied);
      this.#rates.set(lane, rate);
      return laneStatus(lane, rate.at(now, lane.counters.applied));
    });
  }

  async deadLetters(): Promise<number | null> {
    try {
      return await this.#redis.run('counting dead letters', (client) => client.xlen(DEAD_LETTERS));
    } catch {
      return null;
    }
  }

  async replay(request: ReplayRequest): Promise<ReplayResult> {
    const result = await replayDeadLetters(this.#redis, this.#sink, this.#shape, request);
    this.#shared.totals.replayed += result.replayed;
    // There is room again, and what was in the way may be gone.
    if (result.replayed > 0) this.#assignment.release();
    return result;
  }

  #createLane(place: TopicPartition): PartitionLane {
    const { group } = this.#settings;
    return new PartitionLane({
      ...place,
      keys: { position: positionKey(group, this.#source.clusterId, place), changes: changesKey(place) },
      sink: this.#sink,
      gate: this.#gate,
      limits: () => ({ maxRecords: this.#settings.batchRecords, maxBytes: this.#settings.batchBytes }),
      shape: () => this.#shape,
      admit: (records) => this.#admit(records),
      totals: this.#shared.totals,
      clock: this.#clock,
      log: this.#log,
      onLost: (lane, why) => {
        this.#log.debug('a partition looks up its position', {
          topic: lane.topic,
          partition: lane.partition,
          reason: why,
        });
        this.#assignment.claim(lane);
      },
      onChange: () => this.#changed(),
    });
  }

  #positions(): readonly (TopicPartition & { readonly next: number })[] {
    return this.lanes.flatMap(({ topic, partition, next }) =>
      next === undefined ? [] : [{ topic, partition, next }],
    );
  }

  async #admit(records: number): Promise<void> {
    const bucket = this.#bucket;
    if (bucket === undefined) return;
    const waitMs = bucket.waitMs(1);
    bucket.spend(records);
    if (waitMs > 0) await sleep(waitMs, this.#stopping.signal, this.#clock).catch(() => undefined);
  }

  async #refuseCluster(): Promise<void> {
    const info = await this.#redis
      .run('asking whether Redis is a cluster', (client) => client.info('cluster'))
      .catch((error: unknown) => {
        if (error instanceof SuiteError && error.retryable) throw error;
        return '';
      });
    if (/^cluster_enabled:1/m.test(info))
      throw new SuiteError(
        'CONFIG_INVALID',
        `connecting to ${this.#redis.place}: this Redis is a cluster, where one step cannot reach all keys; ${MODULE} needs a standalone Redis or Sentinel`,
      );
  }

  #limitRate(): void {
    this.#bucket = optionalBucket(this.#settings.maxRecordsPerSecond, () => this.#clock.now());
  }

  #applyPause(): void {
    if (this.#settings.paused) this.#gate.close(SETTING, 'the setting paused is true');
    else this.#gate.open(SETTING);
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
    if (this.#shared.working === this) this.#context.report('ingest', this.summary());
  }
}
