import type { Clock, RedisTarget } from '@iotedge-redis/common';
import type { BridgedStream } from './bridged-stream.ts';
import type { Database } from './database.ts';
import { deadLetterKey, readDeadLetter } from './dead-letters.ts';
import type { Flow } from '../flow/flow.ts';

export interface ReplayResult {
  readonly replayed: number;
  /** Still dead letters: refused again, or no answer yet. */
  readonly remaining: number;
  readonly unreadable: number;
}

const WAIT_MS = 20_000;
const LOOK_MS = 25;

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
  // A lane of their own: they neither wait for the stream's entries nor hold them up.
  const lane = flow.outbox.lane(`replay ${stream.name}`);
  const delivered: string[] = [];
  let unreadable = 0;
  try {
    for (const entry of await source.range(target, '-', limit)) {
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
    const limitMs = AbortSignal.timeout(WAIT_MS);
    while (lane.size > 0 && !limitMs.aborted) await flow.latch.wait(LOOK_MS, limitMs, clock);
  } finally {
    flow.outbox.removeLane(lane);
  }
  if (delivered.length > 0) await source.remove(target, delivered);
  return { replayed: delivered.length, remaining: await source.length(target), unreadable };
}
