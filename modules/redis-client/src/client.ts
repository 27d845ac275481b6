import type {
  Component,
  ComponentHealth,
  JsonObject,
  Log,
  MethodHandler,
  ModuleContext,
  RedisTarget,
} from '@iotedge-redis/common';
import { redisTarget } from '@iotedge-redis/common';
import { Databases } from './databases.ts';
import { ItemStore } from './item-store.ts';
import { itemMethods } from './methods.ts';
import type { Method, Touched } from './methods.ts';
import { answer } from './replies.ts';
import type { ClientSettings } from './settings.ts';
import type { Stats } from './stats.ts';

/** What outlives the component, which is rebuilt when its settings change. */
export interface Shared {
  readonly stats: Stats;
  /** The component at work: a new one that does not work yet must not report over it. */
  working?: RedisItemClient;
}

/** Answers the direct methods from one Redis. */
export class RedisItemClient implements Component<ClientSettings> {
  readonly name = 'redis';
  readonly methods: Readonly<Record<string, MethodHandler>>;
  readonly #databases: Databases;
  readonly #target: RedisTarget;
  readonly #log: Log;
  readonly #shared: Shared;
  readonly #report: ModuleContext['report'];
  #settings: ClientSettings;
  #lastError: JsonObject | undefined;

  constructor(
    settings: ClientSettings,
    context: Pick<ModuleContext, 'instance' | 'log' | 'report'>,
    shared: Shared,
  ) {
    this.#settings = settings;
    this.#shared = shared;
    this.#report = (key, value) => context.report(key, value);
    this.#log = context.log.child('redis');
    this.#target = redisTarget(settings);
    this.#databases = new Databases(
      { target: this.#target, name: context.instance, log: this.#log },
      settings.durability === 'fsync',
    );
    this.#databases.main.onStatus(() => this.#tell());
    const methods = itemMethods({
      store: new ItemStore(this.#databases),
      rules: () => this.#settings,
      writeExtras: () => this.#writeExtras(),
    });
    this.methods = Object.fromEntries([
      ...Object.entries(methods).map(([name, method]) => [name, this.#handler(name, method)] as const),
      [
        'Stats',
        () =>
          Promise.resolve(answer(200, 'Statistics since the module started', this.#shared.stats.toJson())),
      ],
    ]);
  }

  async start(signal: AbortSignal): Promise<void> {
    await this.#databases.main.connect(signal);
    this.#shared.working = this;
    this.#tell();
    const why = this.#databases.whyNoFsync;
    if (why !== undefined) this.#log.warn('durability fsync is set but cannot be kept', { reason: why });
  }

  stop(signal: AbortSignal): Promise<void> {
    if (this.#shared.working === this) {
      delete this.#shared.working;
      // Nobody may take over, when the endpoint was removed: what was reported last must not go on claiming a connection.
      const { place } = this.#databases.main;
      this.#report('redis', { redis: place, connection: 'closed', ...this.#error() });
    }
    return this.#databases.close(signal);
  }

  applyLive(settings: ClientSettings): void {
    this.#settings = settings;
  }

  onHealthChange(listener: () => void): void {
    this.#databases.main.onStatus(listener);
  }

  health(): ComponentHealth {
    const { status, facts, place } = this.#databases.main;
    const isReady = status.state === 'ready';
    const data: JsonObject = {
      redis: place,
      connection: status.state,
      ...(isReady ? { connectedSince: status.since.toISOString() } : {}),
      ...this.#error(),
      ...(facts?.version === undefined ? {} : { version: `${facts.product ?? 'redis'} ${facts.version}` }),
    };
    if (!isReady)
      return {
        state: 'down',
        detail: status.error?.message ?? `not connected to ${place} yet`,
        data,
      };
    const why = this.#databases.whyNoFsync;
    return why === undefined
      ? { state: 'ok', data }
      : { state: 'degraded', detail: `durability fsync is set but cannot be kept: ${why}`, data };
  }

  #error(): JsonObject {
    return this.#lastError === undefined ? {} : { lastError: this.#lastError };
  }

  #writeExtras(): JsonObject {
    if (this.#settings.durability !== 'fsync') return {};
    return { Durability: this.#databases.confirmsOnDisk ? 'fsync' : 'memory' };
  }

  /** Reports how the connection stands: after each attempt and each change, never before. */
  #tell(): void {
    const { error } = this.#databases.main.status;
    if (error !== undefined && this.#lastError?.['message'] !== error.message) {
      this.#lastError = { code: error.code, message: error.message, at: new Date().toISOString() };
    }
    const { working } = this.#shared;
    if (working !== undefined && working !== this) return;
    const { data = {} } = this.health();
    this.#report('redis', data);
  }

  #handler(name: string, method: Method): MethodHandler {
    return async ({ payload, requestId }) => {
      const startedAt = performance.now();
      const touched: Touched = { readBytes: 0, writtenBytes: 0 };
      const reply = await method(payload, touched);
      const latencyMs = performance.now() - startedAt;
      this.#shared.stats.add({ method: name, status: reply.status, latencyMs, ...bytesOf(touched) });
      this.#log.debug('answered a direct method', {
        method: name,
        status: reply.status,
        requestId,
        latencyMs: Math.round(latencyMs * 1000) / 1000,
        ...touched,
      });
      return reply;
    };
  }
}

function bytesOf({ readBytes, writtenBytes }: Touched): { readBytes: number; writtenBytes: number } {
  return { readBytes, writtenBytes };
}
