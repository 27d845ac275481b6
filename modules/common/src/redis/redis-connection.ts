import { Redis } from 'ioredis';
import type { Clock } from '../clock.ts';
import { systemClock } from '../clock.ts';
import { SuiteError } from '../errors.ts';
import { hedged } from './hedge.ts';
import type { Log } from '../log.ts';
import { abortable } from '../runner/part-start.ts';
import { attemptConnect } from './redis-attempt.ts';
import type { Connected } from './redis-attempt.ts';
import type { RedisClient } from './redis-clients.ts';
import { classifyRedisError, isUnsent, replyWord } from './redis-errors.ts';
import { durabilityWarnings } from './redis-facts.ts';
import type { RedisFacts } from './redis-facts.ts';
import type { RedisPlace, RedisTarget } from './redis-settings.ts';
import { placed, placeText, RedisCallError } from './redis-status.ts';
import type { RedisState, RedisStatus } from './redis-status.ts';
import { deadline, exponential, retry } from '../retry.ts';
import { createWriteGathering } from '../write-gathering.ts';

export interface RedisConnectionOptions {
  readonly target: RedisTarget;
  /** Shown in CLIENT LIST. */
  readonly name: string;
  readonly log: Log;
  /** For a connection of blocking reads: the longest BLOCK, by which every call may take longer. */
  readonly blockMs?: number;
  /** Logs at debug only: for further connections to a place whose main connection logs already. */
  readonly isQuiet?: boolean;
  readonly clock?: Clock;
  readonly random?: () => number;
}

interface Awaiting {
  resolve(): void;
  reject(error: Error): void;
}

const HEARTBEAT_MS = 5000;
const FOLLOW_FAILOVER_MS = 10_000;
/** An attempt that got nothing back for so long may have lost its packets, or be at an address that is gone. */
const SILENT_ATTEMPT_MS = 1000;
const MAX_ATTEMPTS = 5;

/**
 * One connection to Redis that keeps itself connected: each attempt is a new client of the library, tried until `close`. It
 * is ready again within about a second after Redis is, also when Redis was loading, or was stalled without closing.
 */
export class RedisConnection {
  /** Where Redis is, for texts: `redis:6379`, `sentinel mymaster`, `cluster redis:6379`. */
  readonly place: string;
  readonly #options: RedisConnectionOptions;
  readonly #clock: Clock;
  readonly #stopping = new AbortController();
  readonly #listeners: (() => void)[] = [];
  readonly #inFlight = new Set<Promise<unknown>>();
  readonly #warned = new Set<string>();
  readonly #gatherWrites = createWriteGathering();
  #awaiting: Awaiting[] = [];
  #status: RedisStatus;
  #client: RedisClient | undefined;
  #facts: RedisFacts | undefined;
  #knownNodes: readonly RedisPlace[] = [];
  #replies = 0;
  #readonlyAt = 0;
  #stopHeartbeat: (() => void) | undefined;

  constructor(options: RedisConnectionOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#status = { state: 'idle', since: new Date(this.#clock.now()) };
    this.place = placeText(options.target);
  }

  get status(): RedisStatus {
    return this.#status;
  }

  /** What INFO said at the last connect. */
  get facts(): RedisFacts | undefined {
    return this.#facts;
  }

  onStatus(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /**
   * Begins to connect, once, and goes on trying until `close`, whatever becomes of the first attempt. Settles with the next
   * outcome: resolves when the connection is ready, rejects when an attempt fails; it may be called again then.
   */
  connect(signal?: AbortSignal): Promise<void> {
    const { state } = this.#status;
    if (state === 'ready') return Promise.resolve();
    if (state === 'closed') return Promise.reject(this.#notReady('connecting'));
    const outcome = new Promise<void>((resolve, reject) => this.#awaiting.push({ resolve, reject }));
    if (state === 'idle') this.#keepConnected();
    return signal === undefined ? outcome : abortable(outcome, signal);
  }

  /**
   * Runs commands within the time limit and turns every failure into a RedisCallError. Fails at once while the connection is
   * not ready. `doing` is a gerund for the text; it must not hold a value.
   */
  async run<T>(
    doing: string,
    call: (client: RedisClient) => Promise<T>,
    timeoutMs = this.#options.target.commandTimeoutMs + (this.#options.blockMs ?? 0),
  ): Promise<T> {
    const client = this.#client;
    if (client === undefined) throw this.#notReady(doing);
    const before = this.#replies;
    const late = (): SuiteError =>
      new SuiteError('REDIS_TIMEOUT', `no answer within ${timeoutMs} ms`, { retryable: true });
    if (client instanceof Redis) this.#gatherWrites(client.stream);
    const promise = deadline(call(client), timeoutMs, undefined, late, this.#clock);
    this.#inFlight.add(promise);
    try {
      const result = await promise;
      this.#replies += 1;
      return result;
    } catch (error) {
      throw this.#failed(client, doing, error, before);
    } finally {
      this.#inFlight.delete(promise);
    }
  }

  /** A second connection to the same place, not connected yet. */
  duplicate(options: { readonly db?: number; readonly blockMs?: number } = {}): RedisConnection {
    const { db, ...rest } = options;
    const target = db === undefined ? this.#options.target : { ...this.#options.target, db };
    return new RedisConnection({ ...this.#options, ...rest, target, isQuiet: true });
  }

  /**
   * A connection for reads that block up to `blockMs`: one of its own, since it answers nobody else while it blocks. Its
   * calls reject when nothing came `blockMs` and a command's time limit later, and the connection is made anew: the
   * library's own limit would resolve such a read with null, as if the stream had been empty.
   */
  duplicateForBlocking(blockMs: number): RedisConnection {
    return this.duplicate({ blockMs });
  }

  /** Waits for the calls under way until the signal aborts, then lets go. Idempotent. */
  async close(signal?: AbortSignal): Promise<void> {
    if (this.#status.state === 'closed') return;
    // Whoever closes it knows; listeners hear of what happens to the connection only.
    this.#status = { state: 'closed', since: new Date(this.#clock.now()) };
    this.#stopping.abort();
    this.#stopHeartbeat?.();
    const client = this.#client;
    this.#client = undefined;
    const drained = Promise.allSettled(this.#inFlight).then(() => undefined);
    await (signal === undefined ? drained : abortable(drained, signal).catch(() => undefined));
    client?.disconnect();
  }

  #keepConnected(): void {
    const { random } = this.#options;
    this.#setStatus('connecting', this.#status.error);
    retry(async (signal) => this.#adopt(await this.#attempt(signal)), {
      signal: this.#stopping.signal,
      schedule: exponential({ firstMs: 50, maxMs: 1000, ...(random === undefined ? {} : { random }) }),
      clock: this.#clock,
      onFailure: (error) => {
        const failure = this.#placed(error, 'connecting');
        this.#down(failure);
        this.#settle((one) => one.reject(failure));
      },
    }).then(
      () => this.#settle((one) => one.resolve()),
      (error: unknown) => this.#settle((one) => one.reject(classifyRedisError(error))),
    );
  }

  #attempt(signal: AbortSignal): Promise<Connected> {
    const { target, name } = this.#options;
    const attempt = (limit: AbortSignal, answered: () => void): Promise<Connected> =>
      attemptConnect({
        target,
        name,
        knownNodes: this.#knownNodes,
        clock: this.#clock,
        signal: limit,
        onLoading: (error) => {
          answered();
          if (this.#client === undefined) this.#down(this.#placed(error, 'connecting'), 'loading');
        },
      });
    return hedged(attempt, {
      signal,
      clock: this.#clock,
      afterMs: SILENT_ATTEMPT_MS,
      // One attempt of a cluster is a connection to each of its nodes already.
      most: target.mode === 'cluster' ? 1 : MAX_ATTEMPTS,
      discard: ({ client }) => client.disconnect(),
    });
  }

  #adopt({ client, facts, nodes }: Connected): void {
    const closed = new Error('Connection is closed');
    client.once('end', () => this.#lost(client, this.#placed(closed, 'waiting for requests')));
    this.#client = client;
    this.#facts = facts;
    this.#knownNodes = nodes;
    this.#ready();
  }

  #settle(settle: (one: Awaiting) => void): void {
    const awaiting = this.#awaiting;
    this.#awaiting = [];
    awaiting.forEach(settle);
  }

  #ready(): void {
    this.#log('info', 'connected to Redis', { ...this.#facts });
    for (const warning of durabilityWarnings(this.#facts ?? {})) {
      if (!this.#warned.has(warning)) this.#log('warn', warning);
      this.#warned.add(warning);
    }
    this.#setStatus('ready');
    // A blocked connection cannot answer a PING; its calls carry their own time limit.
    if (this.#options.blockMs === undefined) this.#beat(this.#replies);
  }

  /** An idle connection whose peer is stalled looks healthy until somebody asks: so ask. */
  #beat(seen: number): void {
    this.#stopHeartbeat?.();
    this.#stopHeartbeat = this.#clock.after(HEARTBEAT_MS, () => {
      const isIdle = this.#replies === seen;
      const asked = isIdle ? this.run('checking Redis', (client) => client.ping()) : Promise.resolve('');
      const next = (): void => {
        if (this.#client !== undefined) this.#beat(this.#replies);
      };
      asked.then(next, next);
    });
  }

  #failed(client: RedisClient, doing: string, error: unknown, repliesBefore: number): RedisCallError {
    const classified = this.#placed(error, doing);
    const isReply = replyWord(error) !== undefined;
    if (isReply) this.#replies += 1;
    // Nothing at all came back since the call began: the peer is stalled or gone without a word.
    if (classified.code === 'REDIS_TIMEOUT' && this.#replies === repliesBefore)
      this.#lost(client, classified);
    if (classified.code === 'REDIS_READONLY') this.#followFailover(client);
    const outcome = isReply ? 'refused' : isUnsent(error) ? 'unsent' : 'unknown';
    return new RedisCallError(classified, classified.message, outcome);
  }

  /**
   * The name may point at another server by now, and a connection to the old one would answer READONLY for ever. The new
   * connection takes over when it is there, so that reads go on meanwhile.
   */
  #followFailover(client: RedisClient): void {
    const now = this.#clock.now();
    if (this.#options.target.mode === 'cluster' || now - this.#readonlyAt < FOLLOW_FAILOVER_MS) return;
    this.#readonlyAt = now;
    const replace = (connected: Connected): void => {
      if (this.#client !== client) {
        connected.client.disconnect();
        return;
      }
      this.#adopt(connected);
      void Promise.allSettled(this.#inFlight).then(() => client.disconnect());
    };
    this.#attempt(this.#stopping.signal).then(replace, (error: unknown) =>
      this.#log('debug', 'no other Redis answers under this address', {
        reason: this.#placed(error, 'connecting').message,
      }),
    );
  }

  #lost(client: RedisClient, error: SuiteError): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    this.#stopHeartbeat?.();
    client.disconnect();
    this.#down(error);
    this.#keepConnected();
  }

  #notReady(doing: string): RedisCallError {
    const { error, state } = this.#status;
    const reason =
      error ??
      new SuiteError('REDIS_UNAVAILABLE', state === 'closed' ? 'closed' : 'not connected yet', {
        retryable: true,
      });
    const message = error?.message ?? `${doing} at ${this.place}: ${reason.message}`;
    return new RedisCallError(reason, message, 'unsent');
  }

  #placed(error: unknown, doing: string): SuiteError {
    return placed(error, doing, this.place);
  }

  #down(error: SuiteError, state: RedisState = 'down'): void {
    if (this.#status.state === 'closed') return;
    const isNews = this.#status.error?.code !== error.code;
    this.#log(isNews ? 'warn' : 'debug', 'Redis is not available', {
      code: error.code,
      reason: error.message,
    });
    this.#setStatus(state, error);
  }

  #log(
    level: 'debug' | 'info' | 'warn',
    message: string,
    fields: Readonly<Record<string, unknown>> = {},
  ): void {
    const { log, isQuiet } = this.#options;
    log[isQuiet === true ? 'debug' : level](message, { place: this.place, ...fields });
  }

  #setStatus(state: RedisState, error?: SuiteError): void {
    const before = this.#status;
    if (before.state === 'closed' || (before.state === state && before.error?.message === error?.message))
      return;
    const isUpOrDownAsBefore = (before.state === 'ready') === (state === 'ready');
    const since = isUpOrDownAsBefore ? before.since : new Date(this.#clock.now());
    this.#status = { state, since, ...(error === undefined ? {} : { error }) };
    for (const listener of this.#listeners) listener();
  }
}
