import type { Clock, Log, RedisScript } from '@iotedge-redis/common';
import { callScript, defineScript, errorText } from '@iotedge-redis/common';
import type { BridgedStream } from './bridged-stream.ts';
import { compareIds, nextId } from './entry-id.ts';
import type { Operations } from './operations.ts';
import { numberFrom, readEntries } from './redis-replies.ts';
import type { GroupInfo, StreamSource } from './stream-source.ts';
import { readGroups } from './stream-source.ts';

export interface HousekeepingOptions {
  readonly source: StreamSource;
  readonly streams: () => readonly BridgedStream[];
  readonly operations: Operations;
  readonly trims: boolean;
  readonly maxBacklog: number;
  readonly dropsOldest: boolean;
  readonly consumerExpiryMs: number;
  /** False while nothing is read, so that figures change unseen. */
  readonly isReading: () => boolean;
  /** The figures of all streams are fresh; not more often than is worth a report. */
  readonly onFigures: () => void;
  readonly clock: Clock;
  readonly log: Log;
}

const CONSUMERS_EVERY_MS = 600_000;
/** Quiet streams are looked at once in so many rounds. */
const ROUNDS_FOR_QUIET = 10;

/** Between looking and deleting an entry could be delivered to the consumer and be lost with it, hence in one step. */
const FORGET_IDLE_CONSUMERS: RedisScript = defineScript(`
local removed = 0
for _, info in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local c = {}
  for i = 1, #info, 2 do c[info[i]] = info[i + 1] end
  if c['pending'] == 0 and c['idle'] > tonumber(ARGV[3]) and c['name'] ~= ARGV[2] then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], c['name'])
    removed = removed + 1
  end
end
return removed
`);

/** Looks at lag and backlog of each stream, removes what nobody needs any more, and keeps backlogs in their bounds. */
export class Housekeeping {
  readonly #options: HousekeepingOptions;
  #consumersAt: number;
  #rounds = 0;

  constructor(options: HousekeepingOptions) {
    this.#options = options;
    this.#consumersAt = options.clock.now();
  }

  async round(signal: AbortSignal): Promise<void> {
    const { operations, streams, clock, consumerExpiryMs, log, source, onFigures } = this.#options;
    const consumers =
      consumerExpiryMs > 0 &&
      clock.now() - this.#consumersAt >= Math.min(CONSUMERS_EVERY_MS, consumerExpiryMs);
    if (consumers) this.#consumersAt = clock.now();
    this.#rounds += 1;
    const everyone = consumers || this.#rounds % ROUNDS_FOR_QUIET === 0;
    const known = streams().filter(
      (stream) =>
        stream.phase !== 'absent' && stream.phase !== 'group' && (everyone || !this.#isQuiet(stream)),
    );
    try {
      await operations.each(signal, known, async (stream) => {
        await this.look(stream);
        if (consumers) await this.#forgetConsumers(stream);
      });
      if (everyone) onFigures();
    } catch (error) {
      log.debug('housekeeping is to be repeated', { db: source.db, error: errorText(error) });
    }
  }

  /** Nothing came since the last look, which found nothing to do: while reading goes on, that is how it still is. */
  #isQuiet(stream: BridgedStream): boolean {
    const { isReading, trims } = this.#options;
    const { figures } = stream;
    if (!isReading() || figures?.read !== stream.counters.read || !stream.isQuiet) return false;
    return figures.lag === 0 && figures.pending === 0 && (!trims || figures.length === 0);
  }

  /** Reads the figures of one stream and acts on them. */
  async look(stream: BridgedStream): Promise<void> {
    const { source, maxBacklog, dropsOldest, trims, clock } = this.#options;
    const read = async (): Promise<Sight> =>
      sightOf(await source.together('looking at a stream', lookCommands(stream.key)), source.group);
    let sight = await read();
    if (
      maxBacklog > 0 &&
      dropsOldest &&
      sight.length > maxBacklog &&
      (sight.lag ?? sight.length) > maxBacklog
    ) {
      sight = await this.#dropOldest(stream, maxBacklog);
    }
    if (trims) await this.#trim(stream, sight.groups);
    stream.figures = {
      lag: sight.lag,
      pending: sight.pending,
      length: sight.length,
      read: stream.counters.read,
      at: clock.now(),
    };
  }

  /** How many of those that go were not delivered yet, one transaction tells exactly. */
  async #dropOldest(stream: BridgedStream, keep: number): Promise<Sight> {
    const { source, log } = this.#options;
    const look = lookCommands(stream.key);
    const results = await source.together('keeping the backlog in its bounds', [
      ...look,
      ['XTRIM', stream.key, 'MAXLEN', '=', keep],
      ...look,
    ]);
    const before = sightOf(results.slice(0, look.length), source.group);
    const after = sightOf(results.slice(look.length + 1), source.group);
    const dropped =
      before.lag === null || after.lag === null ? before.length - after.length : before.lag - after.lag;
    if (dropped > 0) {
      stream.count('dropped', dropped);
      log.warn('the oldest entries of a backlog were dropped', {
        stream: stream.shown,
        db: stream.db,
        dropped,
        kept: keep,
      });
    }
    return after;
  }

  /** Up to the smallest id that any group still needs: its oldest pending entry, or else what comes after its last delivery. */
  async #trim(stream: BridgedStream, groups: readonly GroupInfo[]): Promise<void> {
    const { source } = this.#options;
    let needed: string | undefined;
    for (const group of groups) {
      const oldest = group.pending > 0 ? await source.oldestPending(stream.key, group.name) : undefined;
      const first = oldest ?? nextId(group.lastDelivered);
      if (needed === undefined || compareIds(first, needed) < 0) needed = first;
    }
    if (needed !== undefined && needed !== '0-1') await source.trimBefore(stream.key, needed);
  }

  async #forgetConsumers(stream: BridgedStream): Promise<void> {
    const { source, consumerExpiryMs } = this.#options;
    await source.commands.run('removing idle consumers', (client) =>
      callScript(
        client,
        FORGET_IDLE_CONSUMERS,
        [stream.key],
        [source.group, source.consumer, consumerExpiryMs],
      ),
    );
  }
}

interface Sight {
  readonly groups: readonly GroupInfo[];
  readonly length: number;
  /** Entries that were not delivered; null when Redis cannot tell. */
  readonly lag: number | null;
  readonly pending: number;
}

type Command = readonly [string, ...(string | number | Buffer)[]];

function lookCommands(key: Buffer): Command[] {
  return [
    ['XINFO', 'GROUPS', key],
    ['XLEN', key],
    ['XRANGE', key, '-', '+', 'COUNT', 1],
  ];
}

function sightOf(results: readonly unknown[], group: string): Sight {
  const groups = readGroups(results[0]);
  const length = numberFrom(results[1]) ?? 0;
  const [first] = readEntries(results[2]);
  const own = groups.find(({ name }) => name === group);
  // Redis goes on counting entries that were removed before they were delivered: then the whole stream is what is left.
  const isAllUndelivered =
    own !== undefined && (first === undefined || compareIds(own.lastDelivered, first.id) < 0);
  return { groups, length, lag: isAllUndelivered ? length : (own?.lag ?? null), pending: own?.pending ?? 0 };
}
