import type { Log, RedisConnection, RedisTarget } from '@iotedge-redis/common';
import { errorText, sleep } from '@iotedge-redis/common';
import { Acknowledger } from './acknowledger.ts';
import type { BridgedStream } from './bridged-stream.ts';
import { Burial } from './burial.ts';
import { Claims } from './claims.ts';
import { findStreams, searchRestMs } from './discovery.ts';
import { GroupReads } from './group-reads.ts';
import { Housekeeping } from './housekeeping.ts';
import type { Operations } from './operations.ts';
import { Reader } from './reader.ts';
import type { ReadingParts } from './reading-parts.ts';
import { streamChooser } from './stream-choice.ts';
import { StreamRegistry } from './stream-registry.ts';
import type { RegistryOptions } from './stream-registry.ts';
import { nameOf } from '../shape/text-of.ts';
import { StreamSource } from './stream-source.ts';
import { isAborted } from '../flow/is-aborted.ts';

export interface DatabaseOptions extends RegistryOptions {
  readonly target: RedisTarget;
  readonly commands: RedisConnection;
  readonly consumer: string;
  readonly operations: Operations;
  readonly log: Log;
  readonly onStreams: () => void;
  readonly onFigures: () => void;
}

const ABSENT_RETRY_MS = 1000;

/** Everything about one database: which streams it has, and the loops that read, claim, acknowledge and keep house. */
export class Database {
  readonly db: number;
  readonly source: StreamSource;
  readonly acknowledger: Acknowledger;
  readonly burial: Burial;
  readonly housekeeping: Housekeeping;
  readonly #reads: GroupReads;
  readonly #options: DatabaseOptions;
  readonly #registry: StreamRegistry;
  readonly #stopping = new AbortController();
  #loops: Promise<unknown> | undefined;

  constructor(options: DatabaseOptions) {
    const { settings, operations, clock, log, flow, commands, consumer } = options;
    const { group } = settings;
    this.#options = options;
    this.db = options.db;
    this.source = new StreamSource({
      db: options.db,
      commands,
      group,
      consumer,
      removes: settings.trim === 'acknowledged',
    });
    this.#reads = new GroupReads({
      mode: options.target.mode,
      commands,
      blockMs: settings.readTimeoutMs,
      group,
      consumer,
      claimIdleMs: settings.claimIdleMs,
    });
    this.#registry = new StreamRegistry(options);
    const { source } = this;
    this.acknowledger = new Acknowledger({
      source,
      operations,
      clock,
      log,
      onProgress: () => flow.latch.wake(),
    });
    this.burial = new Burial(source, {
      mode: options.target.mode,
      max: settings.deadLetterMax,
      operations,
      clock,
      log,
      onTrouble: (why) =>
        why === undefined
          ? flow.resume(`deadLetters:${options.db}`)
          : flow.pause(`deadLetters:${options.db}`, why),
    });
    this.housekeeping = new Housekeeping({
      source,
      streams: () => this.streams,
      operations,
      trims: settings.trim === 'acknowledged',
      maxBacklog: settings.maxBacklog,
      dropsOldest: settings.maxBacklogPolicy === 'dropOldest',
      consumerExpiryMs: settings.consumerExpiryMs,
      isReading: () => flow.room() > 0,
      onFigures: options.onFigures,
      clock,
      log,
    });
  }

  get streams(): readonly BridgedStream[] {
    return this.#registry.list;
  }

  find(name: string): BridgedStream | undefined {
    return this.#registry.find(name);
  }

  /** Connects; the loops begin with `run`. */
  async open(signal: AbortSignal): Promise<void> {
    await Promise.all([this.source.commands.connect(signal), this.#reads.open(signal)]);
  }

  run(): void {
    const { settings, flow, operations, clock, log } = this.#options;
    const { signal } = this.#stopping;
    const { acknowledger } = this;
    const parts: ReadingParts = {
      source: this.source,
      reads: this.#reads,
      streams: () => this.streams,
      flow,
      operations,
      wantsDeliveries: settings.payloadExtras.includes('deliveryCount'),
      clock,
      log,
    };
    const reader = new Reader({
      ...parts,
      acknowledger,
      batchSize: settings.batchSize,
      blockMs: settings.readTimeoutMs,
      groupStart: settings.groupStart,
      takesOver: settings.singleActive,
    });
    const claims = new Claims({ ...parts, minIdleMs: settings.claimIdleMs });
    this.#loops = Promise.all([
      reader.run(signal),
      claims.run(signal),
      this.#every(settings.housekeepingIntervalMs, () => this.housekeeping.round(signal)),
      this.#every(ABSENT_RETRY_MS, () => {
        for (const stream of this.streams) if (stream.phase === 'absent') stream.phase = 'group';
        return Promise.resolve();
      }),
      ...(settings.autoDiscovery ? [this.#discoverAlways(signal)] : []),
    ]);
  }

  /** All pending entries of the group are to be taken over, in the order of ids: this instance became the active one. */
  takeOver(): void {
    for (const stream of this.streams)
      if (stream.phase !== 'absent' && stream.phase !== 'group') stream.phase = 'takeover';
  }

  /** Which names exist elsewhere has changed. */
  reshape(): void {
    this.#registry.reshape();
  }

  async stop(signal: AbortSignal): Promise<void> {
    this.#stopping.abort();
    await this.burial.drain(signal);
    await this.acknowledger.drain();
    this.acknowledger.stop();
    await this.burial.stop();
    await Promise.all([this.#reads.close(), this.source.commands.close(signal)]);
    await this.#loops;
  }

  async #discoverAlways(signal: AbortSignal): Promise<void> {
    const { settings, clock, log } = this.#options;
    for (;;) {
      let calls = 0;
      try {
        calls = await this.#discover(signal);
      } catch (error) {
        if (isAborted(signal)) return;
        log.debug('looking for streams is to be repeated', { db: this.db, error: errorText(error) });
      }
      await sleep(searchRestMs(calls, settings.discoveryIntervalMs), signal, clock).catch(() => undefined);
      if (isAborted(signal)) return;
    }
  }

  async #discover(signal: AbortSignal): Promise<number> {
    const { settings, operations } = this.#options;
    const pattern = settings.include.length === 1 ? settings.include[0] : undefined;
    const chooses = streamChooser(settings.include, settings.exclude);
    const isWanted = (id: string, key: Buffer): boolean => this.#registry.has(id) || chooses(nameOf(key));
    const { found, calls } = await findStreams(this.source, { isWanted, pattern, operations, signal });
    if (!(await this.#registry.update(found, (key) => this.source.exists(key)))) return calls;
    this.#options.onStreams();
    this.#options.flow.latch.wake();
    return calls;
  }

  async #every(ms: number, work: () => Promise<void>): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await sleep(ms, signal, this.#options.clock).catch(() => undefined);
      if (!isAborted(signal)) await work();
    }
  }
}
