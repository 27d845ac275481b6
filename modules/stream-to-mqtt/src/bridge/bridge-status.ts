import type { JsonObject } from '@iotedge-redis/common';
import type { BridgedStream, StreamCounters } from '../streams/bridged-stream.ts';

/** Rates over the time since the last look, at least a second apart. */
export class Rates {
  #at: number;
  #published = 0;
  #bytes = 0;
  #rate = { messages: 0, bytes: 0 };

  constructor(now: number) {
    this.#at = now;
  }

  at(
    now: number,
    counters: Pick<StreamCounters, 'published' | 'bytes'>,
  ): { readonly messages: number; readonly bytes: number } {
    const seconds = (now - this.#at) / 1000;
    if (seconds >= 1) {
      this.#rate = {
        messages: (counters.published - this.#published) / seconds,
        bytes: (counters.bytes - this.#bytes) / seconds,
      };
      this.#at = now;
      this.#published = counters.published;
      this.#bytes = counters.bytes;
    }
    return this.#rate;
  }
}

/** How long the oldest entry in hand has been read and not acknowledged, in seconds. */
export function oldestUnacked(stream: BridgedStream, now: number): number {
  const oldest = stream.lane.oldest?.entry.readAt;
  return oldest === undefined ? 0 : Math.max(0, now - oldest) / 1000;
}

export function streamStatus(stream: BridgedStream, rates: Rates, now: number): JsonObject {
  const rate = rates.at(now, stream.counters);
  const { figures, counters } = stream;
  return {
    stream: stream.shown,
    db: stream.db,
    state: stream.problem ?? STATES[stream.phase],
    lag: figures?.lag ?? null,
    pending: figures?.pending ?? null,
    length: figures?.length ?? null,
    inHand: stream.lane.size,
    oldestUnackedSeconds: round(oldestUnacked(stream, now)),
    messagesPerSecond: round(rate.messages),
    bytesPerSecond: round(rate.bytes),
    ...counters,
  };
}

const STATES: Readonly<Record<BridgedStream['phase'], string>> = {
  absent: 'there is no such stream',
  group: 'making sure of the group',
  takeover: 'taking over what other instances hold',
  own: 'reading what is pending',
  new: 'reading new entries',
};

export interface Summary {
  readonly streams: number;
  readonly lag: number;
  readonly pending: number;
  readonly inHand: number;
  readonly oldestUnackedSeconds: number;
}

export function summarise(streams: readonly BridgedStream[], now: number): Summary {
  const sum = (of: (stream: BridgedStream) => number): number =>
    streams.reduce((total, stream) => total + of(stream), 0);
  return {
    streams: streams.filter(({ phase }) => phase !== 'absent').length,
    lag: sum(({ figures }) => figures?.lag ?? 0),
    pending: sum(({ figures }) => figures?.pending ?? 0),
    inHand: sum(({ lane }) => lane.size),
    oldestUnackedSeconds: round(
      streams.reduce((oldest, stream) => Math.max(oldest, oldestUnacked(stream, now)), 0),
    ),
  };
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
