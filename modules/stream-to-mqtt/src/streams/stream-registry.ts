import type { Clock } from '@iotedge-redis/common';
import { optionalBucket } from '@iotedge-redis/common';
import type { Flow } from '../flow/flow.ts';
import type { BridgeSettings } from '../settings.ts';
import { shapingFor } from '../shape/shaping.ts';
import { nameOf } from '../shape/text-of.ts';
import type { StreamCounters } from './bridged-stream.ts';
import { BridgedStream } from './bridged-stream.ts';
import type { Names } from './discovery.ts';

export interface RegistryOptions {
  readonly db: number;
  readonly settings: BridgeSettings;
  readonly instance: string;
  readonly flow: Flow;
  readonly totals: StreamCounters;
  readonly clock: Clock;
  /** The same name is forwarded from another database, too. */
  readonly isElsewhere: (name: string, db: number) => boolean;
}

/** The streams of one database that are forwarded: those that were named, and those that were found. */
export class StreamRegistry {
  readonly #options: RegistryOptions;
  readonly #streams = new Map<string, BridgedStream>();
  #list: readonly BridgedStream[] = [];

  constructor(options: RegistryOptions) {
    this.#options = options;
    for (const name of new Set(options.settings.redisStreams)) this.#add(Buffer.from(name), true);
    this.#list = [...this.#streams.values()];
  }

  get list(): readonly BridgedStream[] {
    return this.#list;
  }

  has(id: string): boolean {
    return this.#streams.has(id);
  }

  find(name: string): BridgedStream | undefined {
    return this.#list.find(({ name: own, shown }) => own === name || shown === name);
  }

  /**
   * Takes in what a search found, and lets go of what it did not find any more once nothing of it is in hand. Answers whether
   * anything changed.
   */
  async update(found: Names, exists: (key: Buffer) => Promise<boolean>): Promise<boolean> {
    let isChanged = false;
    for (const [id, key] of found) {
      if (this.has(id)) continue;
      this.#add(key, false);
      isChanged = true;
    }
    for (const [id, stream] of this.#streams) {
      if (found.has(id) || stream.isExplicit || !stream.isQuiet) continue;
      if (await exists(stream.key)) continue;
      this.#streams.delete(id);
      this.#options.flow.outbox.removeLane(stream.lane);
      isChanged = true;
    }
    if (isChanged) this.#list = [...this.#streams.values()];
    return isChanged;
  }

  /** A stream's topic depends on whether its name exists elsewhere. */
  reshape(): void {
    for (const stream of this.#list) stream.shaping = this.#shaping(stream.key, stream.name);
  }

  #add(key: Buffer, isExplicit: boolean): void {
    const { db, settings, flow, clock, totals } = this.#options;
    const name = nameOf(key);
    const now = (): number => clock.now();
    const stream = new BridgedStream({
      db,
      key,
      name,
      isExplicit,
      lane: flow.outbox.lane(name),
      shaping: this.#shaping(key, name),
      messageBucket: optionalBucket(settings.maxTopicMessagesPerSecond, now),
      byteBucket: optionalBucket(settings.maxTopicBytesPerSecond, now),
      totals,
    });
    this.#streams.set(stream.id, stream);
  }

  #shaping(key: Buffer, name: string): ReturnType<typeof shapingFor> {
    const { db, settings, instance, isElsewhere } = this.#options;
    const withDb =
      settings.mqttTopicDb === 'always' || (settings.mqttTopicDb === 'auto' && isElsewhere(name, db));
    return shapingFor(settings, { db, key, name, instance, withDb });
  }
}
