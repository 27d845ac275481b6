import { deepEqual, equal, ok } from 'node:assert/strict';
import type { Redis } from 'ioredis';
import type { Subscriber } from './bridge.ts';

/** Numbers from a seed, the same each time (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** The seed of this run: from FAULT_SEED to repeat one, else a new one; printed either way. */
export function printedSeed(name: string): number {
  const seed = Number(process.env['FAULT_SEED'] ?? Math.floor(Math.random() * 1e9));
  console.log(`${name}: FAULT_SEED=${seed}`);
  return seed;
}

export const rounds = Number(process.env['FAULT_ROUNDS'] ?? 3);

/** Keeps appending numbered entries to some streams, and knows what was appended. */
export interface Producer {
  readonly counts: Map<string, number>;
  stop(): Promise<void>;
}

export function startProducer(redis: Redis, streams: readonly string[], perTick = 5, tickMs = 5): Producer {
  const counts = new Map<string, number>(streams.map((stream) => [stream, 0]));
  let isStopped = false;
  const hasStopped = (): boolean => isStopped;
  const running = (async () => {
    while (!hasStopped()) {
      for (const stream of streams) {
        const from = counts.get(stream) ?? 0;
        const pipeline = redis.pipeline();
        for (let n = from + 1; n <= from + perTick; n += 1) pipeline.xadd(stream, '*', 'n', String(n));
        const results = (await pipeline.exec().catch(() => null)) ?? [];
        // Only what Redis confirmed has to arrive. Behind one that failed others may have been taken: they are appended once more.
        const failed = results.findIndex(([error]) => error !== null);
        const confirmed = failed === -1 ? results.length : failed;
        counts.set(stream, from + confirmed);
        if (confirmed < perTick) break;
      }
      await new Promise((resolve) => setTimeout(resolve, tickMs));
    }
  })();
  return {
    counts,
    async stop() {
      isStopped = true;
      await running;
    },
  };
}

export function arrived(subscriber: Subscriber, stream: string): number[] {
  return subscriber.messages
    .filter(({ topic }) => topic === `redis/${stream.replaceAll(':', '/')}`)
    .map(({ text }) => Number((JSON.parse(text) as { data: { n: string } }).data.n));
}

/** Nothing lost; the first occurrences in order; a repetition goes on in order too, so it is one replay per interruption. */
export function checkArrivals(
  subscriber: Subscriber,
  counts: ReadonlyMap<string, number>,
  interruptions: number,
): { readonly duplicates: number } {
  let duplicates = 0;
  for (const [stream, count] of counts) {
    const numbers = arrived(subscriber, stream);
    const first = [...new Set(numbers)];
    equal(first.length, count, `${stream}: ${count} appended, ${first.length} arrived`);
    deepEqual(
      first,
      Array.from({ length: count }, (_, n) => n + 1),
      `${stream}: order of first occurrences`,
    );
    let steps = 0;
    for (let at = 1; at < numbers.length; at += 1)
      if ((numbers[at] ?? 0) <= (numbers[at - 1] ?? 0)) steps += 1;
    ok(steps <= interruptions, `${stream}: ${steps} replays for ${interruptions} interruptions`);
    duplicates += numbers.length - first.length;
  }
  if (interruptions === 0) equal(duplicates, 0, 'no repetition without an interruption');
  return { duplicates };
}
