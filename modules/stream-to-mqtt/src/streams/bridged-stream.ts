import { isAscii } from 'node:buffer';
import type { Filter, Pairs } from '../shape/filter.ts';
import { fieldOf } from '../shape/filter.ts';
import type { Lane } from '../flow/lane.ts';
import type { EntryFacts, PayloadResult } from '../shape/payload.ts';
import type { Entry } from './redis-replies.ts';
import type { Message, Refusal } from '../sink/sink.ts';
import type { TokenBucket } from '@iotedge-redis/common';
import { labelOf } from '../shape/topic.ts';
import type { FieldLookup, TopicResult } from '../shape/topic.ts';

/**
 * `absent`: no such stream; `group`: its consumer group is to be made sure of; `takeover`: what other consumers hold is taken
 * first; `own`: what this consumer holds is read by cursor; `new`: entries that nobody has seen.
 */
export type Phase = 'absent' | 'group' | 'takeover' | 'own' | 'new';

/** An entry on its way; `fault` makes it a dead letter when its turn comes. */
export interface Outgoing extends Message {
  readonly source: BridgedStream;
  /** The group's life it was read in: an id of a group that was lost means nothing in the new one. */
  readonly epoch: number;
  readonly readAt: number;
  readonly fault?: Refusal;
  /** It comes from the dead letters, whose keeper wants to know what became of it. */
  readonly replay?: (isDelivered: boolean) => void;
}

export interface Shaping {
  readonly filter: Filter | undefined;
  readonly payload: (facts: EntryFacts) => PayloadResult;
  /** Either the same for all entries, or looked up in each. */
  readonly topic: (field: FieldLookup) => TopicResult;
  readonly isJson: boolean;
}

export function noCounts(): StreamCounters {
  return {
    read: 0,
    published: 0,
    bytes: 0,
    filtered: 0,
    deadLettered: 0,
    replayed: 0,
    redelivered: 0,
    trimmed: 0,
    dropped: 0,
    groupsRecreated: 0,
  };
}

export interface StreamCounters {
  read: number;
  published: number;
  bytes: number;
  filtered: number;
  deadLettered: number;
  redelivered: number;
  trimmed: number;
  dropped: number;
  replayed: number;
  groupsRecreated: number;
}

/** What housekeeping saw last. */
export interface StreamFigures {
  readonly lag: number | null;
  readonly pending: number;
  readonly length: number;
  /** The stream's count of entries read at that time. */
  readonly read: number;
  readonly at: number;
}

/** One stream of one database: where reading stands, what waits, what was counted. Identity is database and name. */
export class BridgedStream {
  readonly db: number;
  readonly key: Buffer;
  /** The bytes of the key as a text, one character each, to look it up by. */
  readonly id: string;
  /** The key as the argument of a command that names many: a text is encoded several times as fast as bytes. */
  readonly argument: string | Buffer;
  readonly name: string;
  /** The name for logs, metrics and answers: without control characters, and of a bounded length. */
  readonly shown: string;
  readonly #label: string;
  readonly isExplicit: boolean;
  readonly lane: Lane<Outgoing>;
  readonly messageBucket: TokenBucket | undefined;
  readonly byteBucket: TokenBucket | undefined;
  shaping: Shaping;
  phase: Phase = 'group';
  cursor = '0';
  claimCursor = '0-0';
  hadGroup = false;
  epoch = 0;
  /** Of its entries, about; a guess on the large side until the first one was seen. */
  averageBytes = UNSEEN_BYTES;
  /** The last read answered as much as was asked for: there is more. */
  isHot = false;
  problem: string | undefined;
  figures: StreamFigures | undefined;
  readonly counters: StreamCounters = noCounts();
  readonly #totals: StreamCounters;
  /** Done, and not acknowledged in Redis yet. */
  toAck: string[] = [];
  acking: readonly string[] = [];
  toBury: { readonly entry: Outgoing; readonly refusal: Refusal }[] = [];

  constructor(options: {
    readonly db: number;
    readonly key: Buffer;
    readonly name: string;
    readonly isExplicit: boolean;
    readonly lane: Lane<Outgoing>;
    readonly shaping: Shaping;
    readonly messageBucket: TokenBucket | undefined;
    readonly byteBucket: TokenBucket | undefined;
    /** Counts of all streams together, since the module started. */
    readonly totals: StreamCounters;
  }) {
    this.#totals = options.totals;
    this.db = options.db;
    this.key = options.key;
    this.id = options.key.toString('latin1');
    this.argument = isAscii(options.key) ? this.id : options.key;
    this.name = options.name;
    this.#label = labelOf(options.key);
    this.shown = shortened(this.#label);
    this.isExplicit = options.isExplicit;
    this.lane = options.lane;
    this.shaping = options.shaping;
    this.messageBucket = options.messageBucket;
    this.byteBucket = options.byteBucket;
  }

  /** An entry was read. */
  sized(pairs: Pairs): void {
    let bytes = 64;
    for (const part of pairs) bytes += part.length;
    this.averageBytes += (bytes - this.averageBytes) * (this.averageBytes === UNSEEN_BYTES ? 1 : 1 / 8);
  }

  count(what: keyof StreamCounters, by = 1): void {
    this.counters[what] += by;
    this.#totals[what] += by;
  }

  /** Every id of this group's life that is already in hand, so that a second reading does not double it. */
  inHand(): Set<string> {
    const ids = new Set<string>(this.toAck);
    for (const id of this.acking) ids.add(id);
    for (const { entry } of this.toBury) if (entry.epoch === this.epoch) ids.add(entry.id);
    for (const slot of this.lane.unsettled()) if (slot.entry.epoch === this.epoch) ids.add(slot.entry.id);
    return ids;
  }

  get isQuiet(): boolean {
    return (
      this.lane.size === 0 && this.toAck.length === 0 && this.acking.length === 0 && this.toBury.length === 0
    );
  }

  /** The group was made anew: its pending entries are gone, and so is the meaning of ids in hand. */
  newEpoch(): void {
    this.epoch += 1;
    this.toAck = [];
    this.claimCursor = '0-0';
  }

  /** What becomes of an entry: a message (possibly with a fault), or undefined when the filter holds it back. */
  shape(
    entry: Entry,
    pairs: Pairs,
    redelivered: boolean,
    deliveries: number,
    now: number,
  ): Outgoing | undefined {
    const { filter, payload, topic, isJson } = this.shaping;
    if (filter !== undefined && !filter(pairs)) return undefined;
    const where = topic((name) => fieldOf(pairs, name));
    const what = payload({
      id: entry.id,
      pairs,
      deliveryCount: deliveries,
      now: () => new Date(now).toISOString(),
    });
    const problem = 'problem' in where ? where.problem : 'problem' in what ? what.problem : undefined;
    const topicText = 'topic' in where ? where.topic : '';
    const bytes = 'payload' in what ? what.payload : EMPTY;
    return {
      source: this,
      stream: this.name,
      label: this.#label,
      db: this.db,
      epoch: this.epoch,
      id: entry.id,
      topic: topicText,
      payload: bytes,
      isJson,
      bytes: topicText.length + bytes.length,
      redelivered,
      readAt: now,
      ...(problem === undefined ? {} : { fault: { code: 'INVALID', text: problem } }),
    };
  }
}

const MAX_SHOWN = 200;

function shortened(text: string): string {
  return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN)}…`;
}

const EMPTY = Buffer.alloc(0);
const UNSEEN_BYTES = 512 * 1024;
