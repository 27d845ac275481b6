import type {
  Clock,
  Component,
  ComponentHealth,
  JsonObject,
  Log,
  MethodHandler,
  ModuleContext,
} from '@iotedge-redis/common';
import { redisTarget, systemClock } from '@iotedge-redis/common';
import type { Shared } from './bridge-metrics.ts';
import type { BridgeView } from './bridge-view.ts';
import { bridgeMethods } from './bridge-methods.ts';
import { healthOf } from './bridge-health.ts';
import { createParts } from './bridge-parts.ts';
import { Rates, streamStatus, summarise } from './bridge-status.ts';
import type { BridgedStream, Outgoing } from '../streams/bridged-stream.ts';
import type { Database } from '../streams/database.ts';
import { SETTING } from '../flow/flow.ts';
import type { Flow } from '../flow/flow.ts';
import type { Slot } from '../flow/lane.ts';
import { Lease } from '../streams/lease.ts';
import type { ReplayResult } from '../streams/replay.ts';
import { replayDeadLetters } from '../streams/replay.ts';
import type { BridgeSettings } from '../settings.ts';
import type { Sink } from '../sink/sink.ts';

/** Redis streams → outbox → sink, acknowledged last. */
export class Bridge implements Component<BridgeSettings>, BridgeView {
  readonly name = 'bridge';
  readonly methods: Readonly<Record<string, MethodHandler>>;
  readonly #settings: BridgeSettings;
  readonly #context: ModuleContext;
  readonly #shared: Shared;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #listeners: (() => void)[] = [];
  /** Of streams that somebody asked for; a stream that vanished takes its own along. */
  readonly #rates = new WeakMap<BridgedStream, Rates>();
  readonly #replaying = new Set<BridgedStream>();
  #databases: readonly Database[] = [];
  #flow: Flow | undefined;
  #sink: Sink<Slot<Outgoing>> | undefined;
  #lease: Lease | undefined;
  #loops = new AbortController();
  #leasing: Promise<void> | undefined;

  constructor(settings: BridgeSettings, context: ModuleContext, shared: Shared, clock: Clock = systemClock) {
    this.#settings = settings;
    this.#context = context;
    this.#shared = shared;
    this.#clock = clock;
    this.#log = context.log.child('bridge');
    this.methods = bridgeMethods(this);
  }

  get settings(): BridgeSettings {
    return this.#settings;
  }

  get streams(): readonly BridgedStream[] {
    return this.#databases.flatMap(({ streams }) => streams);
  }

  get pauses(): ReadonlyMap<string, string> {
    return this.#flow?.pauses ?? new Map<string, string>();
  }

  get inFlight(): number {
    return this.#flow?.outbox.sent ?? 0;
  }

  get isConnected(): boolean {
    return this.#sink?.status.state === 'ready';
  }

  async start(signal: AbortSignal): Promise<void> {
    const settings = this.#settings;
    const { sink, flow, databases } = createParts({
      settings,
      context: this.#context,
      totals: this.#shared.totals,
      clock: this.#clock,
      log: this.#log,
      isActive: () => this.#lease?.isHeld ?? true,
      onChange: () => {
        this.#shared.losses += this.#newLosses();
        this.#changed();
      },
    });
    const opened = await Promise.allSettled(databases.map((database) => database.open(signal)));
    const failure = opened.find((result) => result.status === 'rejected');
    if (failure !== undefined) {
      await Promise.allSettled(databases.map((database) => database.stop(AbortSignal.abort())));
      throw failure.reason;
    }
    this.#databases = databases;
    this.#flow = flow;
    this.#sink = sink;
    this.#shared.working = this;
    this.#loops = new AbortController();
    for (const database of databases) {
      database.source.commands.onStatus(() => this.#changed());
      database.run();
    }
    if (settings.singleActive) this.#startLease(databases);
    if (settings.paused) flow.pause(SETTING, 'the setting paused is true');
    flow.start();
    this.#report();
  }

  async stop(signal: AbortSignal): Promise<void> {
    if (this.#shared.working === this) delete this.#shared.working;
    await this.#flow?.drain(signal);
    this.#loops.abort();
    await this.#lease?.release();
    await Promise.allSettled(this.#databases.map((database) => database.stop(signal)));
    await this.#sink?.stop(signal);
    await this.#leasing;
  }

  applyLive(settings: BridgeSettings): void {
    if (settings.paused) this.#flow?.pause(SETTING, 'the setting paused is true');
    else this.#flow?.resume(SETTING);
  }

  onHealthChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  health(): ComponentHealth {
    return healthOf({
      databases: this.#databases,
      sink: this.#sink,
      pauses: this.pauses,
      streams: this.streams,
      maxBacklog: this.#settings.maxBacklog,
      summary: this.summary(),
    });
  }

  pause(): void {
    this.#flow?.pause('method', 'the method Pause was called');
  }

  /** Ends the pause of the method and those that wait for a person; the setting stands. */
  resume(): void {
    this.#flow?.resume();
  }

  summary(): JsonObject {
    const summary = summarise(this.streams, this.#clock.now());
    const { published, filtered, deadLettered, dropped, trimmed } = this.#shared.totals;
    const [paused = null] = this.pauses.values();
    return {
      ...summary,
      inFlight: this.inFlight,
      published,
      filtered,
      deadLettered,
      dropped,
      trimmed,
      paused,
    };
  }

  /** Figures of these streams as they are now. */
  async statusOf(streams: readonly BridgedStream[]): Promise<JsonObject[]> {
    await Promise.allSettled(
      streams.map(async (stream) =>
        this.#databases.find(({ db }) => db === stream.db)?.housekeeping.look(stream),
      ),
    );
    const now = this.#clock.now();
    return streams.map((stream) => {
      const rates = this.#rates.get(stream) ?? new Rates(now);
      this.#rates.set(stream, rates);
      return streamStatus(stream, rates, now);
    });
  }

  async replay(name: string, db: number | undefined, limit: number): Promise<ReplayResult | string> {
    const flow = this.#flow;
    const database = this.#databases.find(
      (each) => (db === undefined || each.db === db) && each.find(name) !== undefined,
    );
    const stream = database?.find(name);
    if (flow === undefined || database === undefined || stream === undefined)
      return `The stream ${name} is not forwarded`;
    if (!flow.isReady || flow.pauses.size > 0) return 'Not now: the bridge is not connected, or paused';
    // A second call would publish what the first has under way once more.
    if (this.#replaying.has(stream)) return `Not now: the dead letters of ${name} are being replayed`;
    this.#replaying.add(stream);
    const { mode } = redisTarget(this.#settings);
    return replayDeadLetters({ database, stream, mode, flow, limit, clock: this.#clock }).finally(() =>
      this.#replaying.delete(stream),
    );
  }

  #countedLosses = 0;

  #newLosses(): number {
    const losses = this.#flow?.losses ?? 0;
    const fresh = losses - this.#countedLosses;
    this.#countedLosses = losses;
    return fresh;
  }

  #startLease(databases: readonly Database[]): void {
    const [first] = databases;
    if (first === undefined) return;
    const lease = new Lease({
      source: first.source,
      holder: this.#context.instance,
      clock: this.#clock,
      log: this.#log,
      onChange: (isHeld) => {
        for (const database of databases) {
          for (const { lane } of database.streams) this.#flow?.outbox.dropWaiting(lane);
          if (isHeld) database.takeOver();
        }
        this.#flow?.latch.wake();
        this.#flow?.pump();
      },
    });
    this.#lease = lease;
    this.#leasing = lease.run(this.#loops.signal);
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
    this.#report();
  }

  #report(): void {
    if (this.#shared.working === this) this.#context.report('bridge', this.health().data ?? {});
  }
}
