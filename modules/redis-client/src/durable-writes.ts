import { RedisCallError, SuiteError, deadline } from '@iotedge-redis/common';
import type { RedisClient, RedisConnection } from '@iotedge-redis/common';

interface Waiting {
  readonly write: () => Promise<unknown>;
  isGivenUp: boolean;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/**
 * Confirms writes only after Redis has them on its disk. WAITAOF blocks the connection that wrote, for up to a second under
 * `appendfsync everysec`; so writes have a connection of their own here, and all that come while one WAITAOF waits share
 * the next.
 */
export class DurableWrites {
  readonly #connection: RedisConnection;
  readonly #timeoutMs: number;
  #waiting: Waiting[] = [];
  #isDraining = false;

  constructor(connection: RedisConnection, timeoutMs: number) {
    this.#connection = connection;
    this.#timeoutMs = timeoutMs;
  }

  run<T>(doing: string, call: (client: RedisClient) => Promise<T>): Promise<T> {
    let entry: Waiting | undefined;
    const done = new Promise<T>((resolve, reject) => {
      const write = (): Promise<T> => this.#connection.run(doing, call);
      entry = { write, isGivenUp: false, resolve: (value) => resolve(value as T), reject };
      this.#waiting.push(entry);
    });
    void this.#drain();
    return deadline(done, this.#timeoutMs, undefined, () => {
      if (entry !== undefined) entry.isGivenUp = true;
      return unconfirmed(doing, this.#connection.place, this.#timeoutMs);
    });
  }

  async #drain(): Promise<void> {
    if (this.#isDraining) return;
    this.#isDraining = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.filter((entry) => !entry.isGivenUp);
      this.#waiting = [];
      await this.#flush(batch);
    }
    this.#isDraining = false;
  }

  async #flush(batch: readonly Waiting[]): Promise<void> {
    const writes = batch.map((entry) => entry.write());
    const fsync = this.#connection.run('waiting for the disk', (client) =>
      client.call('WAITAOF', [1, 0, this.#timeoutMs]),
    );
    const [synced] = await Promise.allSettled([fsync, ...writes]);
    const results = await Promise.allSettled(writes);
    results.forEach((result, index) => {
      const entry = batch[index];
      if (result.status === 'rejected') entry?.reject(result.reason);
      else if (synced.status === 'rejected') entry?.reject(afterWrite(synced.reason));
      else if (isOnDisk(synced.value)) entry?.resolve(result.value);
      else entry?.reject(unconfirmed('waiting for the disk', this.#connection.place, this.#timeoutMs));
    });
  }
}

function isOnDisk(reply: unknown): boolean {
  return Array.isArray(reply) && Number(reply[0]) >= 1;
}

/** Whatever became of the WAITAOF, the write before it is in Redis' memory. */
function afterWrite(reason: unknown): unknown {
  if (!(reason instanceof SuiteError)) return reason;
  return new RedisCallError(reason, `${reason.message}; not confirmed on disk`, 'unknown');
}

function unconfirmed(doing: string, place: string, ms: number): RedisCallError {
  const late = new SuiteError('REDIS_TIMEOUT', 'not on disk in time', { retryable: true });
  return new RedisCallError(late, `${doing} at ${place}: not confirmed on disk within ${ms} ms`, 'unknown');
}
