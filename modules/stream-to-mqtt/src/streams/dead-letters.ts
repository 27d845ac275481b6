import type { RedisTarget } from '@iotedge-redis/common';
import { SuiteError } from '@iotedge-redis/common';
import type { BridgedStream, Outgoing } from './bridged-stream.ts';
import type { Entry } from './redis-replies.ts';
import type { Refusal } from '../sink/sink.ts';
import type { StreamSource } from './stream-source.ts';

/** Fields that stand before those of the original entry, always these, in this order. */
const HEADER = ['stream', 'id', 'group', 'code', 'reason', 'at'] as const;

/** Name of the dead-letter stream; in a cluster it must live on the stream's own node. */
export function deadLetterKey(key: Buffer, mode: RedisTarget['mode']): Buffer {
  const prefix = Buffer.from('dlq:');
  if (mode !== 'cluster' || hasHashTag(key)) return Buffer.concat([prefix, key]);
  return Buffer.concat([prefix, Buffer.from('{'), key, Buffer.from('}')]);
}

/** Only what is between the first brace and the next closing one counts for the slot, unless it is empty. */
function hasHashTag(key: Buffer): boolean {
  const open = key.indexOf('{');
  return open >= 0 && key.indexOf('}', open + 1) > open + 1;
}

/** Says that the dead-letter stream has no room. */
export class DeadLettersFull extends SuiteError {
  constructor(stream: string, limit: number) {
    super(
      'REDIS_ERROR',
      `keeping a dead letter of ${stream}: its dead-letter stream holds ${limit} entries, which is its limit; replay or remove some`,
      {
        retryable: true,
      },
    );
    this.name = 'DeadLettersFull';
  }
}

/**
 * Moves an entry to the dead letters: kept there and acknowledged in one transaction, so that it is always in one of the two
 * places. Nothing is ever removed from the dead letters to make room.
 */
export async function bury(
  source: StreamSource,
  target: Buffer,
  entry: Outgoing,
  refusal: Refusal,
  limits: { readonly max: number; readonly now: number; readonly acknowledge: boolean },
): Promise<void> {
  if ((await source.length(target)) >= limits.max) throw new DeadLettersFull(entry.source.shown, limits.max);
  const pairs = await contentOf(source, entry);
  const values = [
    entry.stream,
    entry.id,
    source.group,
    refusal.code,
    refusal.text,
    new Date(limits.now).toISOString(),
  ];
  const header = HEADER.flatMap((name, at) => [name, values[at] ?? '']);
  const keep = ['XADD', target, '*', ...header, ...pairs] as const;
  const acknowledge = ['XACK', entry.source.key, source.group, entry.id] as const;
  await source.together('keeping a dead letter', limits.acknowledge ? [keep, acknowledge] : [keep]);
}

/** The entry as it stands in its stream; when it was removed there, what was to be published of it. */
async function contentOf(source: StreamSource, entry: Outgoing): Promise<readonly Buffer[]> {
  const [found] = await source.range(entry.source.key, entry.id, 1, entry.id);
  return found?.pairs ?? [Buffer.from('payload'), entry.payload];
}

export interface DeadLetter {
  /** Its id among the dead letters. */
  readonly letterId: string;
  readonly id: string;
  readonly pairs: readonly Buffer[];
}

/** Reads a dead letter back; undefined for an entry that is none. */
export function readDeadLetter(entry: Entry): DeadLetter | undefined {
  const { pairs } = entry;
  if (pairs === undefined) return undefined;
  const isOurs = HEADER.every((name, at) => pairs[at * 2]?.toString() === name);
  const id = pairs[3]?.toString() ?? '';
  if (!isOurs || !/^\d+-\d+$/.test(id)) return undefined;
  return { letterId: entry.id, id, pairs: pairs.slice(HEADER.length * 2) };
}

/** Where an entry's dead letters are, for texts. */
export function deadLetterName(stream: BridgedStream): string {
  return `dlq:${stream.shown}`;
}
