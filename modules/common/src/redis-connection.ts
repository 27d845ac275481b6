import type { Clock } from './clock.ts';
import { sleep, systemClock } from './clock.ts';
import { SuiteError } from './errors.ts';
import type { Log } from './log.ts';
import { createClient } from './redis-clients.ts';
import type { RedisClient } from './redis-clients.ts';
import { formatPlace } from './redis-endpoint.ts';
import { classifyRedisError, replyWord } from './redis-errors.ts';
import { durabilityWarnings, parseInfo } from './redis-facts.ts';
import type { RedisFacts } from './redis-facts.ts';
import type { RedisPlace, RedisTarget } from './redis-settings.ts';
import { deadline, exponential, retry } from './retry.ts';

export type RedisState = 'idle' | 'connecting' | 'loading' | 'ready' | 'down' | 'closed';

export interface RedisStatus {
  readonly state: RedisState;
  readonly since: Date;
  /** Why it is not ready. */
  readonly error?: SuiteError;
}

/**
 * Why a call failed, and what became of its command: `unsent` never left this process, `refused` was answered with an error
 * and had no effect, `unknown` was sent and never answered, so that a write may or may not have happened.
 */
export class RedisCallError extends SuiteError {
  readonly outcome: 'unsent' | 'refused' | 'unknown';

  constructor(error: SuiteError, message: string, outcome: RedisCallError['outcome']) {
    super(error.code, message, { cause: error.cause, retryable: error.retryable });
    this.outcome = outcome;
  }
}

export interface RedisConnectionOptions {
  readonly target: RedisTarget;
  /** Shown in CLIENT LIST. */
  readonly name: string;
  readonly log: Log;
  /** For a connection of blocking reads: the longest BLOCK, by which every call may take longer. */
  readonly blockMs?: number;
  readonly clock?: Clock;
  readonly random?: () => number;
}

const HEARTBEAT_MS = 5000;
const LOADING_POLL_MS = 250;
const RECONNECT_ON_READONLY_MS = 10_000;

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
  #status: RedisStatus;
  #client: RedisClient | undefined;
  #facts: RedisFacts | undefined;
  #knownNodes: readonly RedisPlace[] = [];
  #warned: string[] = [];
  #lastReplyAt = 0;
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
   * Begins to connect. Settles with the outcome of the first attempt; whatever that is, the connection goes on trying until
   * `close`, so a caller that gives up has to close it.
   */
  connect(signal?: AbortSignal): Promise<void> {
    if (this.#status.state !== 'idle') {
      return Promise.reject(new SuiteError('INTERNAL', `connecting to ${this.place}: already begun`));
    }
    const first = new Promise<void>((resolve, reject) => this.#keepConnected(resolve, reject));
    return signal === undefined ? first : untilAborted(first, signal);
  }

  /**
   * Runs commands within the time limit and turns every failure into a RedisCallError. Fails at once while the connection is
   * not ready. `doing` is a gerund for the text; it must not hold a value.
   */
  async run<T>(
    doing: string,
    call: (client: RedisClient) => Promise<T>,
    timeoutMs = this.#limitMs(),
  ): Promise<T> {
    const client = this.#client;
    if (client === undefined) throw this.#notReady(doing);
    const startedAt = this.#clock.now();
    const late = (): SuiteError =>
      new SuiteError('REDIS_TIMEOUT', `no answer within ${timeoutMs} ms`, { retryable: true });
    const promise = deadline(call(client), timeoutMs, undefined, late, this.#clock);
    this.#inFlight.add(promise);
    try {
      const result = await promise;
      this.#lastReplyAt = this.#clock.now();
      return result;
    } catch (error) {
      throw this.#failed(client, doing, error, startedAt);
    } finally {
      this.#inFlight.delete(promise);
    }
  }

  /** A second connection to the same place, not connected yet; for blocking reads give the longest BLOCK. */
  duplicate(
    options: { readonly name?: string; readonly db?: number; readonly blockMs?: number } = {},
  ): RedisConnection {
    const { db, ...rest } = options;
    const target = db === undefined ? this.#options.target : { ...this.#options.target, db };
    return new RedisConnection({ ...this.#options, ...rest, target });
  }

  /**
   * A connection for reads that block up to `blockMs`: a reader of its own, since a blocked connection answers nobody else,
   * and with a time limit of its own, since a half-dead connection would block it for ever.
   */
  duplicateForBlocking(blockMs: number): RedisConnection {
    return this.duplicate({ blockMs });
  }

  /** Waits for the calls under way until the signal aborts, then lets go. Idempotent. */
  async close(signal?: AbortSignal): Promise<void> {
    if (this.#status.state === 'closed') return;
    this.#setStatus('closed');
    this.#stopping.abort();
    this.#stopHeartbeat?.();
    const client = this.#client;
    this.#client = undefined;
    const drained = Promise.allSettled(this.#inFlight).then(() => undefined);
    if (this.#inFlight.size > 0)
      await (signal === undefined ? drained : untilAborted(drained, signal).catch(() => undefined));
    client?.disconnect();
  }

  #limitMs(): number {
    return this.#options.target.commandTimeoutMs + (this.#options.blockMs ?? 0);
  }

  #keepConnected(onFirst?: () => void, onFirstFailure?: (error: Error) => void): void {
    const { random } = this.#options;
    const schedule = exponential({ firstMs: 50, maxMs: 1000, ...(random === undefined ? {} : { random }) });
    this.#setStatus('connecting', this.#status.error);
    retry((signal) => this.#attempt(signal), {
      signal: this.#stopping.signal,
      schedule,
      clock: this.#clock,
      onFailure: (error) => {
        const classified = classifyRedisError(error, `connecting to ${this.place}`);
        this.#down(classified);
        onFirstFailure?.(classified);
      },
    }).then(onFirst, (error: unknown) => onFirstFailure?.(classifyRedisError(error)));
  }

  async #attempt(signal: AbortSignal): Promise<void> {
    const { target, name } = this.#options;
    const client = createClient(target, name, this.#knownNodes);
    // The library keeps the reason for a failed handshake to this event and rejects with "Connection is closed".
    let reported: Error | undefined;
    client.on('error', (error: Error) => (reported ??= error));
    try {
      const limit = target.connectTimeoutMs + target.commandTimeoutMs;
      await deadline(client.connect(), limit, signal, () => connectTimeout(limit), this.#clock);
      // A failed SELECT is only reported and would leave the client on database 0.
      if (reported !== undefined) throw reported;
      await this.#probe(client, signal);
    } catch (error) {
      client.disconnect();
      throw reported ?? error;
    }
    client.once('end', () =>
      this.#lost(
        client,
        classifyRedisError(reported ?? new Error('Connection is closed'), `talking to ${this.place}`),
      ),
    );
    this.#client = client;
    this.#ready(client);
  }

  /** Asks what the server is, and waits while it loads: the library calls itself ready before Redis can answer. */
  async #probe(client: RedisClient, signal: AbortSignal): Promise<void> {
    const limit = this.#options.target.commandTimeoutMs;
    for (;;) {
      const info = await deadline(readInfo(client), limit, signal, () => connectTimeout(limit), this.#clock);
      if (info === undefined || !info.isLoading) {
        if (this.#options.target.mode === 'sentinel' && info?.role === 'slave') {
          throw new SuiteError(
            'REDIS_READONLY',
            'the Sentinel named a replica as primary; it is still failing over',
            { retryable: true },
          );
        }
        this.#facts = info;
        return;
      }
      this.#down(
        new SuiteError(
          'REDIS_LOADING',
          `connecting to ${this.place}: Redis is still loading its data (${info.loadingPercent ?? '?'} %)`,
          { retryable: true },
        ),
        'loading',
      );
      await sleep(LOADING_POLL_MS, signal, this.#clock);
    }
  }

  #ready(client: RedisClient): void {
    if ('nodes' in client) {
      this.#knownNodes = client
        .nodes('all')
        .map(({ options }) => ({ host: options.host ?? '', port: options.port ?? 0 }));
    }
    const { log } = this.#options;
    log.info('connected to Redis', { place: this.place, ...this.#facts });
    for (const warning of durabilityWarnings(this.#facts ?? {})) {
      if (!this.#warned.includes(warning)) log.warn(warning, { place: this.place });
      this.#warned.push(warning);
    }
    this.#setStatus('ready');
    // A blocked connection cannot answer a PING; its calls carry their own time limit.
    if (this.#options.blockMs === undefined) this.#beat();
  }

  /** An idle connection whose peer is stalled looks healthy until somebody asks: so ask. */
  #beat(): void {
    this.#stopHeartbeat?.();
    this.#stopHeartbeat = this.#clock.after(HEARTBEAT_MS, () => {
      const isIdle = this.#clock.now() - this.#lastReplyAt >= HEARTBEAT_MS;
      const asked = isIdle ? this.run('checking Redis', (client) => client.ping()) : Promise.resolve();
      void asked
        .then(
          () => undefined,
          () => undefined,
        )
        .then(() => {
          if (this.#client !== undefined) this.#beat();
        });
    });
  }

  #failed(client: RedisClient, doing: string, error: unknown, startedAt: number): RedisCallError {
    const classified = classifyRedisError(error);
    const isReply = replyWord(error) !== undefined;
    if (isReply) this.#lastReplyAt = this.#clock.now();
    // Nothing at all came back since the call began: the peer is stalled or gone without a word.
    if (classified.code === 'REDIS_TIMEOUT' && this.#lastReplyAt < startedAt) this.#lost(client, classified);
    if (classified.code === 'REDIS_READONLY') this.#followFailover(client, classified);
    const why = classified.message.replace(/^talking to Redis: /, '');
    return new RedisCallError(
      classified,
      `${doing} at ${this.place}: ${why}`,
      isReply ? 'refused' : 'unknown',
    );
  }

  /** The name may point at another server by now; a connection to the old one would answer READONLY for ever. */
  #followFailover(client: RedisClient, error: SuiteError): void {
    const now = this.#clock.now();
    if (this.#options.target.mode === 'cluster' || now - this.#readonlyAt < RECONNECT_ON_READONLY_MS) return;
    this.#readonlyAt = now;
    void Promise.allSettled(this.#inFlight).then(() => this.#lost(client, error));
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
    const known =
      error ??
      new SuiteError(
        'REDIS_UNAVAILABLE',
        state === 'closed' ? 'the connection is closed' : 'not connected yet',
        { retryable: true },
      );
    const isPlaced = known.message.includes(this.place);
    return new RedisCallError(
      known,
      isPlaced ? known.message : `${doing} at ${this.place}: ${known.message}`,
      'unsent',
    );
  }

  #down(error: SuiteError, state: RedisState = 'down'): void {
    if (this.#status.state === 'closed') return;
    const isNews = this.#status.error?.code !== error.code;
    const { log } = this.#options;
    if (isNews)
      log.warn('Redis is not available', { place: this.place, code: error.code, reason: error.message });
    else log.debug('Redis is still not available', { place: this.place, code: error.code });
    this.#setStatus(state, error);
  }

  #setStatus(state: RedisState, error?: SuiteError): void {
    if (this.#status.state === 'closed') return;
    const isSame = this.#status.state === state && this.#status.error?.message === error?.message;
    if (isSame) return;
    const { since } = this.#status;
    const isStillDown = (s: RedisState): boolean => s === 'down' || s === 'connecting' || s === 'loading';
    const kept = isStillDown(this.#status.state) && isStillDown(state) ? since : new Date(this.#clock.now());
    this.#status = { state, since: kept, ...(error === undefined ? {} : { error }) };
    for (const listener of this.#listeners) listener();
  }
}

async function readInfo(client: RedisClient): Promise<ReturnType<typeof parseInfo> | undefined> {
  try {
    return parseInfo(await client.info());
  } catch (error) {
    if (replyWord(error) === 'NOPERM') return undefined;
    throw error;
  }
}

function connectTimeout(ms: number): SuiteError {
  return new SuiteError(
    'REDIS_UNAVAILABLE',
    `no answer within ${ms} ms; check that Redis runs and is not stalled`,
    { retryable: true },
  );
}

function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stopped = (): void => reject(new SuiteError('STOPPED', 'waiting for Redis: stopped'));
    if (signal.aborted) stopped();
    signal.addEventListener('abort', stopped, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stopped));
  });
}

function placeText(target: RedisTarget): string {
  if (target.mode === 'sentinel') return `sentinel ${target.sentinelMaster}`;
  return target.mode === 'cluster' ? `cluster ${formatPlace(target.place)}` : formatPlace(target.place);
}
