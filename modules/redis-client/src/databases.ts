import { RedisCallError, RedisConnection, SuiteError, deadline, hasVersion } from '@iotedge-redis/common';
import type { RedisClient, RedisConnectionOptions } from '@iotedge-redis/common';
import { malformed } from './grammar.ts';
import { DurableWrites } from './durable-writes.ts';

/** Beyond this the connection that was idle longest is closed. */
const MAX_OTHER_DATABASES = 8;

interface Other {
  readonly connection: RedisConnection;
  readonly connected: Promise<void>;
  users: number;
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
    return this.#using(db, 'memory', (connection) => {
      // A connection that had to be made first takes its time from the same limit.
      const limitMs = Math.max(1, this.#target.commandTimeoutMs - (performance.now() - startedAt));
      return connection.run(doing, call, Math.round(limitMs));
    });
  }

  async write<T>(
    db: number | undefined,
    doing: string,
    call: (client: RedisClient) => Promise<T>,
  ): Promise<T> {
    if (!this.confirmsOnDisk) return this.read(db, doing, call);
    return this.#using(db, 'fsync', (connection) => this.#durableWrites(connection).run(doing, call));
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

  async #using<T>(
    db: number | undefined,
    use: 'memory' | 'fsync',
    run: (connection: RedisConnection) => Promise<T>,
  ): Promise<T> {
    const number = db ?? this.#target.db;
    if (this.#target.mode === 'cluster' && number !== 0) {
      throw malformed('"db" must be 0: a Redis cluster has no other');
    }
    // While Redis is away no further connection is tried: the main one knows when it is back.
    const isMain = (number === this.#target.db && use === 'memory') || this.main.status.state !== 'ready';
    if (isMain) return run(this.main);
    const other = this.#other(number, use);
    other.users += 1;
    try {
      await this.#connected(other, number);
      return await run(other.connection);
    } finally {
      other.users -= 1;
      this.#closeIdle();
    }
  }

  /** Opened when first needed; the one that was used last moves to the end. */
  #other(db: number, use: string): Other {
    const name = `${db} ${use}`;
    const other = this.#others.get(name) ?? this.#open(db);
    this.#others.delete(name);
    this.#others.set(name, other);
    return other;
  }

  async #connected(other: Other, db: number): Promise<void> {
    try {
      const limitMs = this.#target.commandTimeoutMs;
      await deadline(other.connected, limitMs, undefined, () => this.#late(db));
    } catch (error) {
      for (const [name, known] of this.#others) if (known === other) this.#others.delete(name);
      void other.connection.close();
      const isUnknown = error instanceof SuiteError && error.code === 'DATA_INVALID';
      throw isUnknown ? malformed(`"db" ${db} does not exist in this Redis`) : error;
    }
  }

  #durableWrites(connection: RedisConnection): DurableWrites {
    let writes = this.#durable.get(connection);
    if (writes === undefined) {
      writes = new DurableWrites(connection, this.#target.commandTimeoutMs);
      this.#durable.set(connection, writes);
    }
    return writes;
  }

  #late(db: number): RedisCallError {
    const { place } = this.main;
    const late = new SuiteError('REDIS_TIMEOUT', 'no connection in time', { retryable: true });
    return new RedisCallError(late, `connecting to database ${db} at ${place}: no answer in time`, 'unsent');
  }

  #open(db: number): Other {
    const connection = this.main.duplicate({ db });
    return { connection, connected: connection.connect(), users: 0 };
  }

  #closeIdle(): void {
    for (const [name, { connection, users }] of this.#others) {
      if (this.#others.size <= MAX_OTHER_DATABASES) return;
      if (users > 0) continue;
      this.#others.delete(name);
      void connection.close();
    }
  }
}
