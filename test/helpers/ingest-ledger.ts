import { deepEqual, equal, ok } from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestKafka, TestRecord } from './kafka.ts';

/** A record as the topic holds it. */
export interface Stored {
  readonly partition: number;
  readonly offset: number;
  readonly key: string;
  readonly value: string | null;
}

/** What the whole topic has to come to in Redis. */
export interface Expected {
  readonly hashes: ReadonlyMap<string, Readonly<Record<string, string>>>;
  /** Of each partition: `offset key op` of every record that takes effect, in order. */
  readonly changes: readonly (readonly string[])[];
  /** Of each partition: the offsets of the records that cannot. */
  readonly poison: readonly (readonly number[])[];
}

/** Does by hand what the module does with a topic whose Kafka keys are the Redis keys. */
export function expectedOf(records: readonly Stored[], partitions: number): Expected {
  const hashes = new Map<string, Record<string, string>>();
  const changes: string[][] = Array.from({ length: partitions }, () => []);
  const poison: number[][] = Array.from({ length: partitions }, () => []);
  for (const { partition, offset, key, value } of records) {
    if (value === null) {
      hashes.delete(key);
      changes[partition]?.push(`${offset} ${key} deleted`);
      continue;
    }
    const fields = objectOf(value);
    if (fields === undefined) {
      poison[partition]?.push(offset);
      continue;
    }
    const hash = hashes.get(key) ?? {};
    for (const [name, field] of Object.entries(fields)) {
      if (field === null) delete hash[name];
      else hash[name] = String(field);
    }
    if (Object.keys(hash).length === 0) hashes.delete(key);
    else hashes.set(key, hash);
    changes[partition]?.push(`${offset} ${key} updated`);
  }
  return { hashes, changes, poison };
}

function objectOf(text: string): Record<string, string | number | null> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, string | number | null>) : undefined;
  } catch {
    return undefined;
  }
}

/** A notice that a subscriber heard. */
export interface Heard {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/** Notices of each partition came once and in order; all of them unless some could go unheard. */
export function checkNotices(
  heard: readonly Heard[],
  expected: Expected,
  { mayMiss = false }: { readonly mayMiss?: boolean } = {},
): void {
  expected.changes.forEach((changes, partition) => {
    const offsets = heard.filter((one) => one.partition === partition).map((one) => one.offset);
    for (let at = 1; at < offsets.length; at += 1)
      ok(
        (offsets[at] ?? 0) > (offsets[at - 1] ?? 0),
        `partition ${partition}: the notice of offset ${offsets[at]} follows that of ${offsets[at - 1]}`,
      );
    const wanted = changes.map((change) => Number(change.split(' ')[0]));
    if (!mayMiss) deepEqual(offsets, wanted, `partition ${partition}: one notice for each record`);
    else {
      const known = new Set(wanted);
      deepEqual(
        offsets.filter((offset) => !known.has(offset)),
        [],
        `partition ${partition}: notices of records only`,
      );
    }
  });
}

/** Keeps producing until it is told to stop: few keys, so that each is changed often; deletions; now and then a field removed. */
export interface Load {
  readonly sent: number;
  stop(): Promise<void>;
}

export interface LoadOptions {
  readonly partitions?: number;
  readonly keys?: number;
  readonly perTick?: number;
  readonly tickMs?: number;
  /** Share of records that cannot be stored. */
  readonly poison?: number;
}

export function startLoad(
  t: TestContext,
  kafka: TestKafka,
  topic: string,
  random: () => number,
  { partitions = 3, keys = 20, perTick = 40, tickMs = 10, poison = 0 }: LoadOptions = {},
): Load {
  let sent = 0;
  let isStopped = false;
  const hasStopped = (): boolean => isStopped;
  // A test that has failed goes on producing otherwise.
  t.after(() => void (isStopped = true));
  const running = (async () => {
    while (!hasStopped()) {
      const records = Array.from({ length: perTick }, (_, at) =>
        randomRecord(random, (sent + at) % partitions, sent + at, keys, poison),
      );
      // What is not acknowledged may be there or not: the topic itself is read for the comparison.
      await kafka.produce(topic, records).then(
        () => (sent += records.length),
        () => sleep(100),
      );
      await sleep(tickMs);
    }
  })();
  return {
    get sent() {
      return sent;
    },
    async stop() {
      isStopped = true;
      await running;
    },
  };
}

/** Keys belong to one partition each: only there is an order between their records. */
export function randomRecord(
  random: () => number,
  partition: number,
  n: number,
  keys: number,
  poison = 0,
): TestRecord {
  const key = `p${partition}:k${Math.floor(random() * keys)}`;
  const dice = random();
  if (dice < poison) return { key, partition, value: '{"n":' };
  if (dice > 0.97) return { key, partition, value: null };
  const fields: Record<string, number | string | null> = { n, [`f${Math.floor(random() * 4)}`]: `v${n}` };
  if (dice > 0.9) fields[`f${Math.floor(random() * 4)}`] = null;
  return { key, partition, value: JSON.stringify(fields) };
}

/** The whole topic as Kafka has it, each partition in order. */
export async function readTopic(kafka: TestKafka, topic: string): Promise<Stored[]> {
  const ends = await kafka.ends(topic);
  const records: Stored[][] = ends.map(() => []);
  const consumer = kafka.client.consumer({
    groupId: `read-back-${topic}-${Date.now()}`,
    maxWaitTimeInMs: 50,
  });
  const done = Promise.withResolvers<undefined>();
  const next = ends.map(() => 0);
  const check = (): void => {
    if (ends.every((end, partition) => (next[partition] ?? 0) >= end)) done.resolve(undefined);
  };
  check();
  try {
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatch: ({ batch }) => {
        for (const { offset, key, value } of batch.messages)
          records[batch.partition]?.push({
            partition: batch.partition,
            offset: Number(offset),
            key: key?.toString() ?? '',
            value: value?.toString() ?? null,
          });
        next[batch.partition] = Number(batch.lastOffset()) + 1;
        check();
        return Promise.resolve();
      },
    });
    await Promise.race([
      done.promise,
      sleep(120_000, undefined, { ref: false }).then(() => {
        throw new Error(`reading ${topic} back: ${next.join(', ')} of ${ends.join(', ')}`);
      }),
    ]);
  } finally {
    await consumer.disconnect();
  }
  records.forEach((list, partition) =>
    equal(new Set(list.map(({ offset }) => offset)).size, list.length, `${partition}`),
  );
  return records.flat();
}
