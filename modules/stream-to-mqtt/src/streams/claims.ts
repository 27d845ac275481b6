import { errorText, sleep } from '@iotedge-redis/common';
import type { BridgedStream } from './bridged-stream.ts';
import type { ReadingParts } from './reading-parts.ts';
import { MAX_HELD_BYTES } from '../flow/room.ts';
import { isAborted } from '../flow/is-aborted.ts';

export interface ClaimOptions extends ReadingParts {
  readonly minIdleMs: number;
}

/** XAUTOCLAIM looks at ten times as many pending entries in one call. */
const CLAIM_COUNT = 100;
const REFRESH_IDS = 500;
const REFRESHES_PER_SWEEP = 3;

/** Takes over what other consumers abandoned, and keeps others from taking what this one still holds. */
export class Claims {
  readonly #options: ClaimOptions;
  #refreshedAt: number;

  constructor(options: ClaimOptions) {
    this.#options = options;
    this.#refreshedAt = options.clock.now();
  }

  /** What is held is refreshed three times as often as others wait; looking for what they abandoned is not in that hurry. */
  async run(signal: AbortSignal): Promise<void> {
    const { minIdleMs, clock, log, source } = this.#options;
    for (let round = 0; !signal.aborted; round += 1) {
      await sleep(minIdleMs / 3, signal, clock).catch(() => undefined);
      if (isAborted(signal)) return;
      try {
        await this.#refresh(signal);
        if (round % REFRESHES_PER_SWEEP === 0) await this.#sweep(signal);
      } catch (error) {
        log.debug('claiming is to be repeated', { db: source.db, error: errorText(error) });
      }
    }
  }

  async #refresh(signal: AbortSignal): Promise<void> {
    const { clock, minIdleMs, log, flow, source, operations, streams } = this.#options;
    const now = clock.now();
    if (now - this.#refreshedAt > minIdleMs) {
      // This process slept, or Redis was away: others may hold what is in hand here. The group knows who has what.
      log.warn('held entries were not refreshed in time and are read again', {
        db: source.db,
        ms: now - this.#refreshedAt,
      });
      for (const stream of streams()) {
        flow.outbox.dropWaiting(stream.lane);
        if (stream.phase !== 'new') continue;
        stream.phase = 'own';
        stream.cursor = '0';
      }
    }
    const holding = streams().filter(({ lane }) => lane.size > 0);
    await operations.each(signal, holding, async (stream) => {
      const ids = [...stream.lane.unsettled()]
        .filter(({ entry }) => entry.epoch === stream.epoch && entry.replay === undefined)
        .map(({ entry }) => entry.id);
      for (let at = 0; at < ids.length; at += REFRESH_IDS)
        await source.refresh(stream.key, ids.slice(at, at + REFRESH_IDS));
    });
    this.#refreshedAt = now;
  }

  async #sweep(signal: AbortSignal): Promise<void> {
    const { streams, operations, flow, reads } = this.#options;
    // Where reading claims, only what was removed from its stream while it was pending is left over, since no read answers it.
    const mayHold = ({ figures }: BridgedStream): boolean => !reads.claims || figures?.pending !== 0;
    const drained = streams().filter((stream) => stream.phase === 'new' && mayHold(stream));
    if (flow.room() > 0) await operations.each(signal, drained, (stream) => this.#claim(stream, signal));
  }

  /** Goes on where the last call ended: from the start each time, what lies behind many fresh entries would never be reached. */
  async #claim(stream: BridgedStream, signal: AbortSignal): Promise<void> {
    const { source, flow, minIdleMs, wantsDeliveries } = this.#options;
    do {
      if (signal.aborted || flow.room() === 0 || stream.phase !== 'new') return;
      const bySize = Math.max(1, Math.floor(MAX_HELD_BYTES / stream.averageBytes));
      const count = Math.min(CLAIM_COUNT, bySize);
      const claimed = await source.claim(stream.key, stream.claimCursor, minIdleMs, count);
      stream.claimCursor = claimed.cursor;
      stream.count('trimmed', claimed.deleted.length);
      const known = stream.inHand();
      const fresh = claimed.entries.filter(({ id, pairs }) => pairs !== undefined && !known.has(id));
      if (fresh.length === 0) continue;
      const deliveries = wantsDeliveries ? await source.deliveries(stream.key, fresh) : undefined;
      flow.accept(stream, fresh, true, deliveries);
    } while (stream.claimCursor !== '0-0');
  }
}
