import { deepEqual, ok } from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ingestBed } from '../helpers/ingest-bed.ts';
import { randomRecord, startLoad } from '../helpers/ingest-ledger.ts';
import { startKafka } from '../helpers/kafka.ts';
import type { TestRecord } from '../helpers/kafka.ts';
import { printedSeed, rounds, seeded } from '../helpers/ledger.ts';

const kafka = await startKafka(undefined);
after(() => kafka.stop());

test(`KI-1 KI-3 KI-7: SIGKILL of either of two instances at ${rounds} random points, with rebalances under load: each record once, in order, heard once`, async (t) => {
  const random = seeded(printedSeed('ingest killed'));
  const bed = await ingestBed(t, { kafka });
  const instances = [await bed.instance('a'), await bed.instance('b')];
  for (const one of instances) one.start();
  await instances[0]?.ready();
  const load = startLoad(t, kafka, bed.topic, random, { poison: 0.005 });
  for (let round = 0; round < rounds; round += 1) {
    const victim = instances[round % 2];
    await sleep(100 + random() * 1500);
    await victim?.kill('SIGKILL');
    await sleep(random() * 300);
    victim?.start();
  }
  await sleep(500);
  await load.stop();
  const { changes, poison } = await bed.check();
  const count = (lists: readonly (readonly unknown[])[]): number =>
    lists.reduce((sum, one) => sum + one.length, 0);
  ok(count(changes) > 0);
  console.log(
    `ingest killed ${rounds} times: ${count(changes)} records, ${count(poison)} dead letters; none lost, doubled or out of order`,
  );
});

test('KI-5: an instance that slept past its session returns as a zombie and changes nothing', async (t) => {
  const random = seeded(printedSeed('zombie'));
  const bed = await ingestBed(t, { kafka });
  const [zombie, heir] = [await bed.instance('zombie'), await bed.instance('heir')];
  zombie.start();
  await zombie.ready();
  const load = startLoad(t, kafka, bed.topic, random);
  heir.start();
  await heir.ready();
  for (let round = 0; round < Math.min(rounds, 10); round += 1) {
    await sleep(300 + random() * 700);
    await zombie.kill('SIGSTOP');
    const before = await bed.positions();
    // Longer than the session: the heir takes all partitions over and goes past where the zombie stood.
    await moves(bed.positions, before);
    await zombie.kill('SIGCONT');
    await sleep(random() * 1000);
  }
  await load.stop();
  await bed.check();
});

async function moves(positions: () => Promise<number[]>, before: readonly number[]): Promise<void> {
  for (const deadline = Date.now() + 60_000; ;) {
    const now = await positions();
    if (now.every((next, partition) => next > (before[partition] ?? 0))) return;
    if (Date.now() > deadline)
      throw new Error(`nobody took over: ${before.join(', ')}, then ${now.join(', ')}`);
    await sleep(50);
  }
}

const BATCH = 12;

test('KI-14: a record that cannot be stored, at every position of a step: it becomes a dead letter in its place', async (t) => {
  for (const bad of [
    { value: '{"n":', kind: 'no JSON' },
    { value: '[1]', kind: 'no object' },
    { value: '{"n":-1}', kind: 'a key that holds a string' },
  ]) {
    const bed = await ingestBed(t, { kafka, partitions: 1, environment: { BATCH_RECORDS: String(BATCH) } });
    await bed.client.set('wrong', 'a string');
    const records: TestRecord[] = [];
    // One step of good records, then one step for each position.
    for (let position = -1; position < BATCH; position += 1)
      for (let at = 0; at < BATCH; at += 1) {
        const isBad = at === position;
        const key = isBad && bad.kind.startsWith('a key') ? 'wrong' : `p0:k${at % 3}`;
        records.push({ key, partition: 0, value: isBad ? bad.value : JSON.stringify({ n: records.length }) });
      }
    const wanted = records.flatMap(({ key, value }, offset) =>
      key === 'wrong' || value === bad.value ? [offset] : [],
    );
    await kafka.produce(bed.topic, records);
    const ingest = await bed.instance('poison');
    ingest.start();
    await bed.settled();
    const letters = await bed.client.xrange('dlq:kafka-ingest', '-', '+');
    const read = letters.map(([, fields]) => {
      const value = (name: string): string | undefined => fields[fields.indexOf(name) + 1];
      return {
        topic: value('topic'),
        partition: value('partition'),
        offset: Number(value('offset')),
        value: value('value'),
      };
    });
    deepEqual(
      read,
      wanted.map((offset) => ({ topic: bed.topic, partition: '0', offset, value: bad.value })),
      bad.kind,
    );
    const changes = await bed.client.xrange(`changes:${bed.topic}:0`, '-', '+');
    deepEqual(
      changes.map(([id]) => Number(id.split('-')[0])),
      records.flatMap((_, offset) => (wanted.includes(offset) ? [] : [offset])),
      bad.kind,
    );
    for (let n = 0; n < 50 && bed.heard.length < changes.length; n += 1) await sleep(20);
    deepEqual(
      bed.heard.map(({ offset }) => offset),
      changes.map(([id]) => Number(id.split('-')[0])),
      bad.kind,
    );
    const last = records.findLastIndex(({ key, value }) => key === 'p0:k2' && value !== bad.value);
    deepEqual(await bed.client.hgetall('p0:k2'), { n: String(last) });
    await ingest.kill('SIGKILL');
  }
});

test('KI-10: many records of one hot key among a few others in one partition: the last one counts, each is heard once', async (t) => {
  // A million with 50 rounds.
  const count = Math.min(1_000_000, rounds * 20_000);
  const random = seeded(printedSeed('hot key'));
  const bed = await ingestBed(t, { kafka, partitions: 1 });
  for (let from = 0; from < count; from += 10_000)
    await kafka.produce(
      bed.topic,
      Array.from({ length: 10_000 }, (_, at) =>
        random() < 0.9
          ? { key: 'p0:hot', partition: 0, value: JSON.stringify({ n: from + at }) }
          : randomRecord(random, 0, from + at, 50),
      ),
    );
  const ingest = await bed.instance('hot');
  ingest.start();
  await sleep(1000 + random() * 500);
  await ingest.kill('SIGKILL');
  ingest.start();
  const { changes } = await bed.check();
  console.log(`hot key: ${changes[0]?.length ?? 0} records in one partition`);
});

test('KI-4: what the group has committed to Kafka never passes Redis, and meets it after an orderly stop', async (t) => {
  const bed = await ingestBed(t, { kafka });
  const ingest = await bed.instance('orderly');
  ingest.start();
  await ingest.ready();
  const load = startLoad(t, kafka, bed.topic, seeded(printedSeed('committed')));
  await sleep(1000);
  await load.stop();
  await bed.settled();
  await ingest.kill('SIGTERM');
  deepEqual(await kafka.committed(bed.group, bed.topic), await kafka.ends(bed.topic));
  await bed.check();
});
