import type { Clock, RedisConnection } from '@iotedge-redis/common';
import { SuiteError } from '@iotedge-redis/common';
import type { Waiting } from '@iotedge-redis/common/blob';

const EVERY_MS = 2000;

/** Looks at how full Redis is, now and then. */
export class RedisMemory {
  readonly pauseMs = 1000;
  readonly #connection: RedisConnection;
  readonly #clock: Clock;
  #isPossible: boolean;
  #nextAt = 0;

  constructor(connection: RedisConnection, clock: Clock, isCluster: boolean) {
    this.#connection = connection;
    this.#clock = clock;
    // The nodes of a cluster fill up one by one; there the OOM reply decides.
    this.#isPossible = !isCluster;
  }

  isDue(): boolean {
    return this.#isPossible && this.#clock.now() >= this.#nextAt;
  }

  /** Why to wait, or undefined. */
  async find(maxPercent: number): Promise<Waiting | undefined> {
    this.#nextAt = this.#clock.now() + EVERY_MS;
    let info: string;
    try {
      info = await this.#connection.run('asking for the memory of Redis', (client) => client.info('memory'));
    } catch (error) {
      // An ACL may hide INFO; whatever else is wrong shows at the next write.
      if (error instanceof SuiteError && !error.retryable) this.#isPossible = false;
      return undefined;
    }
    const used = number(info, 'used_memory');
    const max = number(info, 'maxmemory');
    if (max === 0 || used * 100 <= maxPercent * max) return undefined;
    return {
      code: 'REDIS_MEMORY',
      message: `Redis uses more than ${maxPercent} % of its maxmemory; the import waits for room (maxMemoryPercent)`,
    };
  }
}

function number(info: string, name: string): number {
  return Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
}
