import type { RedisConnection } from '@iotedge-redis/common';
import { hasVersion, RedisCallError, SuiteError } from '@iotedge-redis/common';
import type { Claimed, Entry } from './redis-replies.ts';
import { listOf, numberFrom, readClaimed, readEntries, readFields, textFrom } from './redis-replies.ts';

export interface GroupInfo {
  readonly name: string;
  readonly pending: number;
  readonly lastDelivered: string;
  /** Undefined before Redis 7, null when Redis cannot tell. */
  readonly lag: number | null | undefined;
}

type Argument = string | number | Buffer;

/** The commands on streams of one database, each with its answer read; those that read for the consumer are in GroupReads. */
export class StreamSource {
  readonly db: number;
  readonly commands: RedisConnection;
  readonly group: string;
  readonly consumer: string;
  readonly #removes: boolean;
  /** XACKDEL was refused: an ACL may have been written for an older server. */
  #isXackdelRefused = false;

  constructor(options: {
    readonly db: number;
    readonly commands: RedisConnection;
    readonly group: string;
    readonly consumer: string;
    /** What every group has acknowledged is not wanted any more. */
    readonly removes: boolean;
  }) {
    this.db = options.db;
    this.commands = options.commands;
    this.group = options.group;
    this.consumer = options.consumer;
    this.#removes = options.removes;
  }

  /** `absent` when there is no such stream, else whether the group had to be made. */
  async ensureGroup(key: Buffer, start: string): Promise<'created' | 'there' | 'absent'> {
    try {
      await this.#run('creating the consumer group', 'XGROUP', 'CREATE', key, this.group, start);
      return 'created';
    } catch (error) {
      const word = replyOf(error);
      if (word === 'BUSYGROUP') return 'there';
      // Without MKSTREAM, a stream that does not exist is refused under the catch-all word.
      if (word === 'ERR') return 'absent';
      throw error;
    }
  }

  async claim(key: Buffer, cursor: string, minIdleMs: number, count: number): Promise<Claimed> {
    return readClaimed(
      await this.#run(
        'claiming abandoned entries',
        'XAUTOCLAIM',
        key,
        this.group,
        this.consumer,
        minIdleMs,
        cursor,
        'COUNT',
        count,
      ),
    );
  }

  /** Makes this consumer the holder, without their contents. */
  async claimIds(key: Buffer, cursor: string, count: number): Promise<Claimed> {
    return readClaimed(
      await this.#run(
        'taking over pending entries',
        'XAUTOCLAIM',
        key,
        this.group,
        this.consumer,
        0,
        cursor,
        'COUNT',
        count,
        'JUSTID',
      ),
    );
  }

  /** Tells the group that these are being worked on. Delivery counts stay as they are. */
  async refresh(key: Buffer, ids: readonly string[]): Promise<void> {
    await this.#run('refreshing held entries', 'XCLAIM', key, this.group, this.consumer, 0, ...ids, 'JUSTID');
  }

  /** Where the server can, an entry that no other group needs goes with its last acknowledgement; the others wait for trimming. */
  async acknowledge(key: Buffer, ids: readonly string[]): Promise<void> {
    const doing = 'acknowledging entries';
    if (!this.#hasXackdel) {
      await this.#run(doing, 'XACK', key, this.group, ...ids);
      return;
    }
    try {
      await this.#run(doing, 'XACKDEL', key, this.group, 'ACKED', 'IDS', ids.length, ...ids);
    } catch (error) {
      const word = replyOf(error);
      this.#isXackdelRefused = word === 'NOPERM' || word === 'ERR';
      throw error;
    }
  }

  get #hasXackdel(): boolean {
    const { facts } = this.commands;
    return this.#removes && !this.#isXackdelRefused && facts?.product === 'redis' && hasVersion(facts, 8, 2);
  }

  /** How often each of these was delivered, for entries that are pending. */
  async deliveries(key: Buffer, entries: readonly Entry[]): Promise<ReadonlyMap<string, number>> {
    const first = entries[0];
    const last = entries.at(-1);
    if (first === undefined || last === undefined) return new Map();
    const reply = await this.#run(
      'reading delivery counts',
      'XPENDING',
      key,
      this.group,
      first.id,
      last.id,
      entries.length * 2,
      this.consumer,
    );
    return new Map(
      listOf(reply).map((item) => {
        const [id, , , count] = listOf(item);
        return [textFrom(id), numberFrom(count) ?? 1];
      }),
    );
  }

  async groups(key: Buffer): Promise<readonly GroupInfo[]> {
    return readGroups(await this.#run('reading the groups of a stream', 'XINFO', 'GROUPS', key));
  }

  async length(key: Buffer): Promise<number> {
    return numberFrom(await this.#run('reading the length of a stream', 'XLEN', key)) ?? 0;
  }

  /** The smallest id that any consumer of the group holds. */
  async oldestPending(key: Buffer, group: string): Promise<string | undefined> {
    const [, smallest] = listOf(await this.#run('reading pending entries', 'XPENDING', key, group));
    return smallest === null || smallest === undefined ? undefined : textFrom(smallest);
  }

  /**
   * Removes the entries before an id. The approximate form removes a bounded number at a time, so that Redis never stops for
   * it; the exact form takes the small rest.
   */
  async trimBefore(key: Buffer, id: string): Promise<number> {
    let removed = 0;
    for (;;) {
      const some = numberFrom(await this.#run('trimming a stream', 'XTRIM', key, 'MINID', '~', id)) ?? 0;
      removed += some;
      if (some === 0) break;
    }
    return removed + (numberFrom(await this.#run('trimming a stream', 'XTRIM', key, 'MINID', '=', id)) ?? 0);
  }

  /** Entries of a stream from an id on. */
  async range(key: Buffer, from: string, count: number, to = '+'): Promise<readonly Entry[]> {
    return readEntries(await this.#run('reading a stream', 'XRANGE', key, from, to, 'COUNT', count));
  }

  async remove(key: Buffer, ids: readonly string[]): Promise<void> {
    await this.#run('removing dead letters', 'XDEL', key, ...ids);
  }

  async exists(key: Buffer): Promise<boolean> {
    return textFrom(await this.#run('looking at a key', 'TYPE', key)) === 'stream';
  }

  /** Several commands that take effect together or not at all. */
  async together(
    doing: string,
    commands: readonly (readonly [string, ...Argument[]])[],
  ): Promise<readonly unknown[]> {
    return this.commands.run(doing, async (client) => {
      const transaction = client.multi();
      for (const [name, ...args] of commands) transaction.callBuffer(name, args);
      const results = await transaction.exec();
      if (results === null)
        throw new SuiteError('REDIS_ERROR', 'the transaction was given up', { retryable: true });
      return results.map(([error, value]) => {
        if (error) throw error;
        return value;
      });
    });
  }

  #run(doing: string, name: string, ...args: Argument[]): Promise<unknown> {
    return this.commands.run(doing, (client) => client.callBuffer(name, args));
  }
}

export function readGroups(reply: unknown): readonly GroupInfo[] {
  return listOf(reply).map((item) => {
    const info = readFields(item);
    const lag = info.get('lag');
    return {
      name: textFrom(info.get('name')),
      pending: numberFrom(info.get('pending')) ?? 0,
      lastDelivered: textFrom(info.get('last-delivered-id')),
      lag: lag === undefined || lag === null ? lag : numberFrom(lag),
    };
  });
}

/** The first word of the error that Redis replied, for a call that it refused. */
export function replyOf(error: unknown): string | undefined {
  if (!(error instanceof RedisCallError) || error.outcome !== 'refused') return undefined;
  return error.cause instanceof Error ? error.cause.message : undefined;
}
