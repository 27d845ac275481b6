import { errorText, exponential, sleep } from '@iotedge-redis/common';
import type { Acknowledger } from './acknowledger.ts';
import type { BridgedStream } from './bridged-stream.ts';
import type { Entry, StreamEntries } from './redis-replies.ts';
import type { ReadingParts } from './reading-parts.ts';
import { replyOf } from './stream-source.ts';
import { MAX_HELD_BYTES } from '../flow/room.ts';
import { isAborted } from '../flow/is-aborted.ts';

export interface ReaderOptions extends ReadingParts {
  readonly acknowledger: Acknowledger;
  readonly batchSize: number;
  readonly blockMs: number;
  readonly groupStart: string;
  /** The only active one of several takes what the others hold before anything else. */
  readonly takesOver: boolean;
}

/** A busy stream is read so often before the quiet ones are asked again. */
const HOT_ROUNDS = 4;
const IDLE_MS = 1000;
const TAKEOVER_COUNT = 1000;

/** Reads the streams of one database: groups made sure of, own pending entries first, then new ones. */
export class Reader {
  readonly #options: ReaderOptions;
  #rotation = 0;
  #hotRounds = 0;
  #emptyInARow = 0;

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, source } = this.#options;
    const schedule = exponential({ firstMs: 50, maxMs: 1000 });
    for (let failures = 0; !signal.aborted;) {
      try {
        await this.#round(signal);
        failures = 0;
      } catch (error) {
        if (isAborted(signal)) return;
        failures += 1;
        this.#failed(error);
        log.debug('reading is to be repeated', { db: source.db, error: errorText(error) });
        await sleep(schedule(failures), signal, clock).catch(() => undefined);
      }
    }
  }

  /**
   * A group or stream that is gone makes Redis refuse a read of all of them, so each is looked at. After anything else the
   * answer may have been lost on its way: what it held is only among the own pending entries now.
   */
  #failed(error: unknown): void {
    const word = replyOf(error);
    const isRefused = word === 'NOGROUP' || word === 'UNBLOCKED' || word === 'WRONGTYPE';
    for (const stream of this.#options.streams()) {
      if (stream.phase === 'absent' || stream.phase === 'group') continue;
      if (isRefused) stream.phase = 'group';
      else if (stream.phase === 'new' || stream.phase === 'own') {
        stream.phase = 'own';
        stream.cursor = '0';
      }
    }
  }

  async #round(signal: AbortSignal): Promise<void> {
    const { flow, streams, operations, clock } = this.#options;
    const room = flow.room();
    if (room === 0) {
      const capMs = flow.roomInMs();
      await flow.latch.wait(capMs > 0 ? Math.min(capMs, IDLE_MS) : IDLE_MS, signal, clock);
      return;
    }
    const all = streams();
    const groupless = all.filter(({ phase }) => phase === 'group');
    if (groupless.length > 0) await operations.each(signal, groupless, (stream) => this.#ensureGroup(stream));
    const taken = all.filter(({ phase }) => phase === 'takeover');
    if (taken.length > 0) await operations.each(signal, taken, (stream) => this.#takeOver(stream));
    const own = all.filter(({ phase }) => phase === 'own');
    if (own.length > 0) await this.#readOwn(own, room, signal);
    else await this.#readNew(all, room, signal);
  }

  async #ensureGroup(stream: BridgedStream): Promise<void> {
    const { source, groupStart, log } = this.#options;
    let made: 'created' | 'there' | 'absent';
    try {
      made = await source.ensureGroup(stream.key, groupStart);
    } catch (error) {
      if (replyOf(error) !== 'WRONGTYPE') throw error;
      stream.problem = 'the key is not a stream';
      stream.phase = 'absent';
      return;
    }
    stream.problem = undefined;
    if (made === 'absent') {
      stream.phase = 'absent';
      return;
    }
    if (made === 'created') {
      if (stream.hadGroup) {
        stream.newEpoch();
        stream.count('groupsRecreated');
        log.warn('a consumer group was lost and is made anew', {
          stream: stream.shown,
          db: stream.db,
          start: groupStart,
        });
      }
      stream.phase = 'new';
    } else {
      stream.phase = this.#options.takesOver ? 'takeover' : 'own';
      stream.cursor = '0';
    }
    stream.hadGroup = true;
  }

  /** As the only active one: whatever the others held becomes ours, so that all of it goes out in the order of ids. */
  async #takeOver(stream: BridgedStream): Promise<void> {
    let cursor = '0-0';
    do {
      ({ cursor } = await this.#options.source.claimIds(stream.key, cursor, TAKEOVER_COUNT));
    } while (cursor !== '0-0');
    stream.phase = 'own';
    stream.cursor = '0';
  }

  async #readOwn(own: readonly BridgedStream[], room: number, signal: AbortSignal): Promise<void> {
    const { source, reads, operations, flow, batchSize, wantsDeliveries } = this.#options;
    const chunk = own.slice(0, room);
    const count = Math.max(1, Math.min(batchSize, countFor(chunk, room)));
    await operations.admit(signal);
    const replies = await reads.readOwn(chunk, count);
    const byKey = index(replies);
    for (const stream of chunk) {
      const entries = byKey.get(stream.id) ?? [];
      const last = entries.at(-1);
      if (last === undefined) {
        stream.phase = 'new';
        continue;
      }
      stream.cursor = last.id;
      const known = stream.inHand();
      const fresh = entries.filter(({ id }) => !known.has(id));
      this.#trimmed(stream, fresh);
      const kept = fresh.filter(({ pairs }) => pairs !== undefined);
      const deliveries = wantsDeliveries ? await source.deliveries(stream.key, kept) : undefined;
      flow.accept(stream, kept, true, deliveries);
    }
  }

  /** Pending entries that were removed from their stream can only be acknowledged, and counted. */
  #trimmed(stream: BridgedStream, entries: readonly Entry[]): void {
    for (const { id, pairs } of entries) {
      if (pairs !== undefined) continue;
      stream.count('trimmed');
      this.#options.acknowledger.add(stream, id);
    }
  }

  async #readNew(all: readonly BridgedStream[], room: number, signal: AbortSignal): Promise<void> {
    const { reads, operations, flow, batchSize, blockMs, clock } = this.#options;
    const eligible = all.filter((stream) => stream.phase === 'new' && mayTake(stream) > 0);
    if (eligible.length === 0) {
      await flow.latch.wait(Math.min(blockMs, 100), signal, clock);
      return;
    }
    const { chunk, blocks } = this.#choose(eligible, room);
    // Redis counts per stream.
    const allowed = chunk.reduce((least, stream) => Math.min(least, mayTake(stream)), batchSize);
    const count = Math.max(1, Math.min(allowed, countFor(chunk, room)));
    await operations.admit(signal);
    const replies = await reads.readNew(
      chunk.map(({ argument }) => argument),
      count,
      blocks ? blockMs : undefined,
    );
    this.#emptyInARow = replies.length === 0 ? this.#emptyInARow + chunk.length : 0;
    const byKey = index(replies);
    for (const stream of chunk) {
      const entries = byKey.get(stream.id);
      stream.isHot = entries !== undefined && entries.length >= count;
      if (entries !== undefined) flow.accept(stream, unheld(stream, entries), false);
    }
  }

  /**
   * Streams to ask, and whether to wait there. While there is room for an entry of each, all are asked at once. Otherwise busy
   * ones are asked alone, every few rounds some of the others; when nobody has anything, all are waited on together.
   */
  #choose(
    eligible: readonly BridgedStream[],
    room: number,
  ): { chunk: readonly BridgedStream[]; blocks: boolean } {
    if (eligible.length <= room && eligible.length <= 16) return { chunk: eligible, blocks: true };
    const hot = eligible.filter(({ isHot }) => isHot);
    if (hot.length > 0 && this.#hotRounds < HOT_ROUNDS) {
      this.#hotRounds += 1;
      return { chunk: hot.slice(0, room), blocks: false };
    }
    this.#hotRounds = 0;
    if (hot.length === 0 && (eligible.length <= room || this.#emptyInARow >= eligible.length)) {
      return { chunk: eligible, blocks: true };
    }
    const start = this.#rotation % eligible.length;
    const chunk = [...eligible.slice(start), ...eligible.slice(0, start)].slice(0, room);
    this.#rotation = (start + chunk.length) % eligible.length;
    return { chunk, blocks: false };
  }
}

/** Entries of each stream in one read, by their number and by their size. */
function countFor(chunk: readonly BridgedStream[], room: number): number {
  const bytes = chunk.reduce((sum, { averageBytes }) => sum + averageBytes, 0);
  return Math.floor(Math.min(room / chunk.length, MAX_HELD_BYTES / bytes));
}

/** Entries that are claimed in reading may be in hand here: they were then not refreshed in time. */
function unheld(stream: BridgedStream, entries: readonly Entry[]): readonly Entry[] {
  // What was claimed stands before what is new.
  if ((entries[0]?.deliveries ?? 0) === 0) return entries;
  const known = stream.inHand();
  return entries.filter(({ id }) => !known.has(id));
}

/** Entries that the caps of the stream let it take now. */
function mayTake({ messageBucket, byteBucket }: BridgedStream): number {
  return byteBucket?.available() === 0 ? 0 : (messageBucket?.available() ?? Infinity);
}

function index(replies: readonly StreamEntries[]): Map<string, readonly Entry[]> {
  return new Map(replies.map(({ key, entries }) => [key.toString('latin1'), entries]));
}
