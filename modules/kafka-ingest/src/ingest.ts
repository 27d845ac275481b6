import type {
  Clock,
  Component,
  ComponentHealth,
  JsonObject,
  Log,
  MethodHandler,
  ModuleContext,
  RedisStatus,
} from '@iotedge-redis/common';
import { RedisConnection, redisTarget, systemClock } from '@iotedge-redis/common';
import { Assignment } from './kafka/assignment.ts';
import { DEAD_LETTERS } from './shape/own-keys.ts';
import { Gate } from './lane/gate.ts';
import { ingestMethods } from './ingest-methods.ts';
import type { Shared } from './ingest-metrics.ts';
import { healthOf, laneStatus, Rate, summaryOf } from './ingest-status.ts';
import type { IngestView } from './ingest-view.ts';
import { KafkaSource } from './kafka/kafka-source.ts';
import type { SourceStatus } from './kafka/kafka-source.ts';
import { MemoryGuard } from './lane/memory-guard.ts';
import { PartitionLane } from './lane/partition-lane.ts';
import { changesKey, positionKey, Positions } from './apply/positions.ts';
import { RateCap } from './lane/rate-cap.ts';
import type { TopicPartition } from './record.ts';
import { RedisSink } from './apply/redis-sink.ts';
import { refuseCluster } from './apply/refuse-cluster.ts';
import type { ReplayRequest, ReplayResult } from './replay.ts';
import { replayDeadLetters } from './replay.ts';
import type { IngestSettings } from './settings.ts';
import { shapeOf } from './settings.ts';
import type { Shape } from './shape/shape.ts';

const SETTING = 'setting';
const METHOD = 'method';

export type IngestContext = Pick<ModuleContext, 'instance' | 'log' | 'report'>;

/** Kafka → lanes → Redis: every record takes effect once. */
export class Ingest implements Component<IngestSettings>, IngestView {
  readonly name = 'ingest';
  readonly methods: Readonly<Record<string, MethodHandler>>;
  #settings: IngestSettings;
  #shape: Shape;
  readonly #context: IngestContext;
  readonly #shared: Shared;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #gate = new Gate();
  readonly #listeners: (() => void)[] = [];
  readonly #rates = new WeakMap<PartitionLane, Rate>();
  readonly #cap: RateCap;
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
    this.#cap = new RateCap(clock);
    this.#cap.set(settings.maxRecordsPerSecond);
    const target = redisTarget(settings);
    this.#redis = new RedisConnection({ target, name: context.instance, log: this.#log });
    this.#sink = new RedisSink(this.#redis, target.commandTimeoutMs);
    this.#source = new KafkaSource(
      settings,
      async () => {
        // The client library is half of what there is to load, and of no use until there are settings.
        const { createKafka } = await import('./kafka/kafka-client.ts');
        return createKafka(settings, context.instance, this.#log, () => clock.now());
      },
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

  get redis(): RedisStatus {
    return this.#redis.status;
  }

  get kafka(): SourceStatus {
    return this.#source.status;
  }

  get topics(): readonly string[] {
    return this.#source.topics;
  }

  get memoryPercent(): number | undefined {
    return this.#guard.usedPercent;
  }

  async start(signal: AbortSignal): Promise<void> {
    await this.#redis.connect(signal);
    await refuseCluster(this.#redis);
    this.#applyPause();
    await this.#source.start();
    this.#guard.start();
    this.#shared.working = this;
    this.#changed();
  }

  async stop(signal: AbortSignal): Promise<void> {
    if (this.#shared.working === this) delete this.#shared.working;
    this.#cap.set(0);
    this.#guard.stop();
    this.#gate.open();
    await this.#assignment.stop();
    await this.#source.stop();
    await this.#redis.close(signal);
  }

  applyLive(settings: IngestSettings): void {
    this.#settings = settings;
    this.#shape = shapeOf(settings);
    this.#cap.set(settings.maxRecordsPerSecond);
    this.#applyPause();
    // What was refused under the old settings may do under the new ones.
    this.#assignment.release();
    this.#changed();
  }

  onHealthChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  health(): ComponentHealth {
    return healthOf(this);
  }

  pause(): void {
    this.#shared.isPaused = true;
    this.#applyPause();
    this.#changed();
  }

  /** Ends the pause of the method and what waits for a person; the setting stands. */
  resume(): void {
    this.#shared.isPaused = false;
    this.#applyPause();
    this.#assignment.release();
    this.#changed();
  }

  summary(): JsonObject {
    return summaryOf(this, this.#shared.totals);
  }

  statusOf(lanes: readonly PartitionLane[]): JsonObject[] {
    const now = this.#clock.now();
    return lanes.map((lane) => {
      const rate = this.#rates.get(lane) ?? new Rate(now, lane.standing.counters.applied);
      this.#rates.set(lane, rate);
      return laneStatus(lane, rate.at(now, lane.standing.counters.applied));
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
      limits: () => ({
        maxRecords: this.#cap.atOnce(this.#settings.batchRecords),
        maxBytes: this.#settings.batchBytes,
      }),
      shape: () => this.#shape,
      admit: (records) => this.#cap.admit(records),
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

  #applyPause(): void {
    this.#closeWhile(this.#settings.paused, SETTING, 'the setting paused is true');
    this.#closeWhile(this.#shared.isPaused, METHOD, 'the method Pause was called');
  }

  #closeWhile(isClosed: boolean, name: string, reason: string): void {
    if (isClosed) this.#gate.close(name, reason);
    else this.#gate.open(name);
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
    if (this.#shared.working === this) this.#context.report('ingest', this.summary());
  }
}
