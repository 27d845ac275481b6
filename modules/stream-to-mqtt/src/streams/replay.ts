import type { Clock, RedisTarget } from '@iotedge-redis/common';
import type { BridgedStream } from './bridged-stream.ts';
import type { Database } from './database.ts';
import { deadLetterKey, readDeadLetter } from './dead-letters.ts';
import { nextId } from './entry-id.ts';
import type { Flow } from '../flow/flow.ts';
import type { Entry } from './redis-replies.ts';

export interface ReplayResult {
  readonly replayed: number;
  /** Still dead letters: refused again, or no answer yet. */
  readonly remaining: number;
  readonly unreadable: number;
}

const WAIT_MS = 20_000;
const LOOK_MS = 25;
/** So many are read at a time: dead letters are often the large ones. */
const PAGE = 16;

/** Publishes dead letters of a stream again with their own ids, and removes each once it was acknowledged. */
export async function replayDeadLetters(options: {
  readonly database: Database;
  readonly stream: BridgedStream;
  readonly mode: RedisTarget['mode'];
  readonly flow: Flow;
  readonly limit: number;
  readonly clock: Clock;
}): Promise<ReplayResult> {
  const { database, stream, mode, flow, limit, clock } = options;
  const { source } = database;
  const target = deadLetterKey(stream.key, mode);
  const inTime = AbortSignal.timeout(WAIT_MS);
  let replayed = 0;
  let unreadable = 0;
  let from = '-';
  for (let left = limit; left > 0 && !inTime.aborted; left -= PAGE) {
    const letters = await source.range(target, from, Math.min(left, PAGE));
    const last = letters.at(-1);
    if (last === undefined) break;
    from = nextId(last.id);
    const page = await replayPage(letters, { stream, flow, clock, inTime });
    unreadable += page.unreadable;
    replayed += page.delivered.length;
    if (page.delivered.length > 0) await source.remove(target, page.delivered);
  }
  return { replayed, remaining: await source.length(target), unreadable };
}

async function replayPage(
  letters: readonly Entry[],
  options: {
    readonly stream: BridgedStream;
    readonly flow: Flow;
    readonly clock: Clock;
    readonly inTime: AbortSignal;
  },
): Promise<{ readonly delivered: readonly string[]; readonly unreadable: number }> {
  const { stream, flow, clock, inTime } = options;
  // A lane of their own: they neither wait for the stream's entries nor hold them up.
  const lane = flow.outbox.lane(`replay ${stream.name}`);
  const delivered: string[] = [];
  let unreadable = 0;
  try {
    for (const entry of letters) {
      const letter = readDeadLetter(entry);
      const { letterId = '' } = letter ?? {};
      const shaped =
        letter && stream.shape({ id: letter.id, pairs: letter.pairs }, letter.pairs, true, 2, clock.now());
      if (letter === undefined) unreadable += 1;
      // What the filter holds back today was to be published when it became a dead letter: it stays one.
      if (shaped === undefined) continue;
      flow.add(lane, {
        ...shaped,
        replay: (isDelivered) => {
          if (isDelivered) delivered.push(letterId);
        },
      });
    }
    flow.pump();
    while (lane.size > 0 && !inTime.aborted) await flow.latch.wait(LOOK_MS, inTime, clock);
  } finally {
    flow.outbox.removeLane(lane);
  }
  return { delivered, unreadable };
}
