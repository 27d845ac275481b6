import { RedisCallError, RedisConnection, SuiteError, deadline, hasVersion } from '@iotedge-redis/common';
import type { RedisClient, RedisConnectionOptions } from '@iotedge-redis/common';
import { malformed } from './grammar.ts';
import { DurableWrites } from './durable-writes.ts';

/** Beyond this the connection that was idle longest is closed. */
const MAX_OTHER_DATABASES = 8;

interface Other {
  readonly connection: RedisConnection;
  readonly connected: Promise<void>;
}

/**
 * The connections of the module by database number. SELECT on the shared connection would move every other caller's
 * commands, so a request for another database gets a connection of that database.
 */
export class Databases {
  readonly main: RedisConnection;
  readonly #target: RedisConnectionOptions['target'];
  readonly #wantsFsync: boolean;
  readonly #others = new Map<string, Other>();
  readonly #durable = new WeakMap<RedisConnection, DurableWrites>();

  constructor(options: RedisConnectionOptions, wantsFsync: boolean) {
    this.main = new RedisConnection(options);
    this.#target = options.target;
    this.#wantsFsync = wantsFsync;
  }

  async read<T>(
    db: number | undefined,
    doing: string,
    call: (client: RedisClient) => Promise<T>,
  ): Promise<T> {
    const startedAt = performance.now();
    const connection = await this.#connection(db, 'memory');
    // A connection that had to be made first takes its time from the same limit.
    const limitMs = Math.max(1, this.#target.commandTimeoutMs - (performance.now() - startedAt));
    return connection.run(doing, call, Math.round(limitMs));
  }

  async write<T>(
    db: number | undefined,
    doing: string,
    call: (client: RedisClient) => Promise<T>,
  ): Promise<T> {
    if (!this.confirmsOnDisk) return this.read(db, doing, call);
    const connection = await this.#connection(db, 'fsync');
    let writes = this.#durable.get(connection);
    if (writes === undefined) {
      writes = new DurableWrites(connection, this.#target.commandTimeoutMs);
      this.#durable.set(connection, writes);
    }
    return writes.run(doing, call);
  }

  /** True when writes are confirmed by WAITAOF: asked for, and the server can. */
  get confirmsOnDisk(): boolean {
    return this.#wantsFsync && this.whyNoFsync === undefined;
  }

  /** Why `durability: fsync` cannot be kept, or undefined. */
  get whyNoFsync(): string | undefined {
    const { facts } = this.main;
    if (!this.#wantsFsync || facts === undefined) return undefined;
    if (this.#target.mode === 'cluster') return 'WAITAOF is not used with a Redis cluster';
    if (facts.isAofEnabled === false) return 'this Redis keeps no append-only file (set appendonly yes)';
    if (hasVersion(facts, 7, 2)) return undefined;
    return `${facts.product ?? 'redis'} ${facts.version ?? 'of unknown version'} has no WAITAOF (Redis 7.2 or newer has)`;
  }

  async close(signal: AbortSignal): Promise<void> {
    const all = [this.main, ...[...this.#others.values()].map(({ connection }) => connection)];
    this.#others.clear();
    await Promise.all(all.map((connection) => connection.close(signal)));
  }

  async #connection(db: number | undefined, use: 'memory' | 'fsync'): Promise<RedisConnection> {
    const number = db ?? this.#target.db;
    if (this.#target.mode === 'cluster' && number !== 0)
      throw malformed('"db" must be 0: a Redis cluster has no other');
    if (number === this.#target.db && use === 'memory') return this.main;
    // While Redis is away no further connection is tried: the main one knows when it is back.
    if (this.main.status.state !== 'ready') return this.main;
    const name = `${number} ${use}`;
    const known = this.#others.get(name);
    const other = known ?? this.#open(number);
    this.#others.delete(name);
    this.#others.set(name, other);
    this.#closeOldest();
    try {
      await deadline(other.connected, this.#target.commandTimeoutMs, undefined, () => this.#late(number));
    } catch (error) {
      if (this.#others.get(name) === other) this.#others.delete(name);
      void other.connection.close();
      throw error instanceof SuiteError && error.code === 'DATA_INVALID'
        ? malformed(`"db" ${number} does not exist in this Redis`)
        : error;
    }
    return other.connection;
  }

  #late(db: number): RedisCallError {
    const { place } = this.main;
    const late = new SuiteError('REDIS_TIMEOUT', 'no connection in time', { retryable: true });
    return new RedisCallError(late, `connecting to database ${db} at ${place}: no answer in time`, 'unsent');
  }

  #open(db: number): Other {
    const connection = this.main.duplicate({ db });
    return { connection, connected: connection.connect() };
  }

  #closeOldest(): void {
    const [oldest] = this.#others;
    if (oldest === undefined || this.#others.size <= MAX_OTHER_DATABASES) return;
    this.#others.delete(oldest[0]);
    void oldest[1].connected.catch(() => undefined).then(() => oldest[1].connection.close());
  }
}
