import type { RedisConnection, RedisTarget } from '@iotedge-redis/common';
import { CommandBuffer, hasVersion, sendEncoded, sleep } from '@iotedge-redis/common';
import type { StreamEntries } from './redis-replies.ts';
import { readStreams } from './redis-replies.ts';

const CLUSTER_POLL_MS = 100;

type Key = string | Buffer;
type Argument = Key | number;

/** A read that was written out, and what it asks. */
interface Written {
  readonly head: readonly Argument[];
  readonly keys: readonly Key[];
  readonly command: CommandBuffer;
}

/** Reads for the consumer, on a connection of its own: one that blocks answers nobody else. */
export class GroupReads {
  readonly #connection: RedisConnection;
  readonly #isCluster: boolean;
  readonly #group: string;
  readonly #consumer: string;
  readonly #claimIdleMs: number;
  #last: Written | undefined;

  constructor(options: {
    readonly mode: RedisTarget['mode'];
    readonly commands: RedisConnection;
    readonly blockMs: number;
    readonly group: string;
    readonly consumer: string;
    /** Entries that others hold for so long come with the new ones, where the server can do that. */
    readonly claimIdleMs: number;
  }) {
    this.#connection = options.commands.duplicateForBlocking(options.blockMs);
    this.#isCluster = options.mode === 'cluster';
    this.#group = options.group;
    this.#consumer = options.consumer;
    this.#claimIdleMs = options.claimIdleMs;
  }

  open(signal: AbortSignal): Promise<void> {
    return this.#connection.connect(signal);
  }

  /** A read that blocks is not waited for: what it would have brought stays pending and is read at the next start. */
  close(): Promise<void> {
    return this.#connection.close(AbortSignal.abort());
  }

  /** Reading new entries brings abandoned ones along. Asked of the server at each connect, since a failover may change it. */
  get claims(): boolean {
    const { facts } = this.#connection;
    return facts?.product === 'redis' && hasVersion(facts, 8, 4);
  }

  /** Entries nobody has seen, abandoned ones before them where the server has CLAIM; `blockMs` waits for the first one. */
  async readNew(keys: readonly Key[], count: number, blockMs?: number): Promise<readonly StreamEntries[]> {
    const head = [...this.#head(count), ...(this.claims ? ['CLAIM', this.#claimIdleMs] : [])];
    if (this.#isCluster) {
      const found = await this.#each(keys, (key) => [...head, 'STREAMS', key, '>']);
      if (found.length === 0 && blockMs !== undefined) await sleep(Math.min(blockMs, CLUSTER_POLL_MS));
      return found;
    }
    const command = this.#written(blockMs === undefined ? head : [...head, 'BLOCK', blockMs], keys);
    const [reply] = await this.#connection.run('reading streams', async (client) => {
      const replies = await sendEncoded(client, command);
      // An error is a reply among others there.
      if (replies[0] instanceof Error) throw replies[0];
      return replies;
    });
    return readStreams(reply);
  }

  /** At rest the same streams are asked again and again: writing out a thousand names would be most of what that costs. */
  #written(head: readonly Argument[], keys: readonly Key[]): CommandBuffer {
    const last = this.#last;
    if (last !== undefined && isSame(last.head, head) && isSame(last.keys, keys)) return last.command;
    const args = [...head, 'STREAMS'];
    // A new one each time: the one before may still be on its way.
    const command = new CommandBuffer(64 + keys.length * 32);
    command.begin(1 + args.length + keys.length * 2);
    command.text('XREADGROUP');
    for (const arg of args) write(command, arg);
    for (const key of keys) write(command, key);
    keys.forEach(() => command.text('>'));
    this.#last = { head, keys, command };
    return command;
  }

  /** What this consumer holds after each cursor. */
  readOwn(
    streams: readonly { readonly argument: Key; readonly cursor: string }[],
    count: number,
  ): Promise<readonly StreamEntries[]> {
    const head = this.#head(count);
    if (this.#isCluster)
      return this.#each(streams, ({ argument, cursor }) => [...head, 'STREAMS', argument, cursor]);
    return this.#read([
      ...head,
      'STREAMS',
      ...streams.map(({ argument }) => argument),
      ...streams.map(({ cursor }) => cursor),
    ]);
  }

  /**
   * In a cluster one command reaches one slot only, so each stream is read by itself and nothing blocks: an idle round is
   * followed by a short wait instead.
   */
  async #each<T>(items: readonly T[], args: (item: T) => Argument[]): Promise<readonly StreamEntries[]> {
    return (await Promise.all(items.map((item) => this.#read(args(item))))).flat();
  }

  #head(count: number): Argument[] {
    return ['GROUP', this.#group, this.#consumer, 'COUNT', count];
  }

  async #read(args: Argument[]): Promise<readonly StreamEntries[]> {
    return readStreams(
      await this.#connection.run('reading streams', (client) => client.callBuffer('XREADGROUP', args)),
    );
  }
}

function write(command: CommandBuffer, part: Argument): void {
  if (typeof part === 'object') command.buffer(part);
  else command.text(String(part));
}

function isSame(one: readonly Argument[], other: readonly Argument[]): boolean {
  return one.length === other.length && one.every((part, at) => part === other[at]);
}
