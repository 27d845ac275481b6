import type { Clock, Log, RedisScript } from '@iotedge-redis/common';
import { callScript, defineScript, errorText } from '@iotedge-redis/common';
import type { BridgedStream } from './bridged-stream.ts';
import { compareIds, nextId } from './entry-id.ts';
import type { Operations } from './operations.ts';
import { numberFrom } from './redis-replies.ts';
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
  readonly clock: Clock;
  readonly log: Log;
}

const CONSUMERS_EVERY_MS = 600_000;

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

  constructor(options: HousekeepingOptions) {
    this.#options = options;
    this.#consumersAt = options.clock.now();
  }

  async round(signal: AbortSignal): Promise<void> {
    const { operations, streams, clock, consumerExpiryMs, log, source } = this.#options;
    const consumers = consumerExpiryMs > 0 && clock.now() - this.#consumersAt >= Math.min(CONSUMERS_EVERY_MS, consumerExpiryMs);
    if (consumers) this.#consumersAt = clock.now();
    const known = streams().filter(({ phase }) => phase !== 'absent' && phase !== 'group');
    try {
      await operations.each(signal, known, async (stream) => {
        await this.look(stream);
        if (consumers) await this.#forgetConsumers(stream);
      });
    } catch (error) {
      log.debug('housekeeping is to be repeated', { db: source.db, error: errorText(error) });
    }
  }

  /** Reads the figures of one stream and acts on them. */
  async look(stream: BridgedStream): Promise<void> {
    const { source, maxBacklog, dropsOldest, trims, clock } = this.#options;
    let groups = await source.groups(stream.key);
    let length = await source.length(stream.key);
    const own = groups.find(({ name }) => name === source.group);
    if (own === undefined) return;
    if (maxBacklog > 0 && dropsOldest && backlogOf(own, length) > maxBacklog && length > maxBacklog) {
      [groups, length] = await this.#dropOldest(stream, maxBacklog);
    }
    if (trims) await this.#trim(stream, groups);
    const now = groups.find(({ name }) => name === source.group) ?? own;
    stream.figures = { lag: now.lag ?? null, pending: now.pending, length, at: clock.now() };
  }

  /** The entries that go were not delivered: how many, the group's lag before and after tells exactly, in one transaction. */
  async #dropOldest(stream: BridgedStream, keep: number): Promise<[readonly GroupInfo[], number]> {
    const { source, log } = this.#options;
    const { key } = stream;
    const results = await source.together('keeping the backlog in its bounds', [
      ['XINFO', 'GROUPS', key],
      ['XTRIM', key, 'MAXLEN', '=', keep],
      ['XINFO', 'GROUPS', key],
      ['XLEN', key],
    ]);
    const before = readGroups(results[0]);
    const removed = numberFrom(results[1]) ?? 0;
    const after = readGroups(results[2]);
    const lagOf = (groups: readonly GroupInfo[]): number | null | undefined => groups.find(({ name }) => name === source.group)?.lag;
    const lagBefore = lagOf(before);
    const lagAfter = lagOf(after);
    const isKnown = typeof lagBefore === 'number' && typeof lagAfter === 'number';
    const dropped = isKnown ? Math.max(0, lagBefore - lagAfter) : removed;
    if (dropped > 0) {
      stream.count('dropped', dropped);
      log.warn('the oldest entries of a backlog were dropped', { stream: stream.name, db: stream.db, dropped, kept: keep });
    }
    return [after, numberFrom(results[3]) ?? 0];
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
      callScript(client, FORGET_IDLE_CONSUMERS, [stream.key], [source.group, source.consumer, consumerExpiryMs]),
    );
  }
}

function backlogOf(group: GroupInfo, length: number): number {
  return typeof group.lag === 'number' ? group.lag + group.pending : length;
}
