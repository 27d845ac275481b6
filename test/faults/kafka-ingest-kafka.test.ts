import { after, test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ingestBed } from '../helpers/ingest-bed.ts';
import { randomRecord, startLoad } from '../helpers/ingest-ledger.ts';
import { startKafka } from '../helpers/kafka.ts';
import { printedSeed, rounds, seeded } from '../helpers/ledger.ts';

const kafka = await startKafka(undefined, { isProxied: true });
after(() => kafka.stop());

/** Two instances that reach Kafka through the proxy, under load; something happens a few times; then everything is compared. */
async function trouble(
  t: TestContext,
  name: string,
  most: number,
  happen: (random: () => number) => Promise<void>,
): Promise<void> {
  const random = seeded(printedSeed(name));
  // A connection that says nothing is given up after this time.
  const environment = { KAFKA_REQUEST_TIMEOUT_MS: '2000', KAFKA_CONNECT_TIMEOUT_MS: '1000' };
  const bed = await ingestBed(t, { kafka, isProxied: true, environment });
  const instances = [await bed.instance('a'), await bed.instance('b')];
  for (const one of instances) one.start();
  for (const one of instances) await one.ready();
  const load = startLoad(t, kafka, bed.topic, random);
  for (let round = 0; round < Math.min(rounds, most); round += 1) {
    await sleep(200 + random() * 600);
    await happen(random);
  }
  kafka.proxy?.set({ kind: 'none' });
  await sleep(500);
  await load.stop();
  await bed.check();
}

test('KI-1 KI-32: Kafka is killed and started again: the module goes on by itself, nothing lost or doubled', async (t) => {
  await trouble(t, 'kafka killed', 5, async () => {
    await kafka.kill('SIGKILL');
    await kafka.restart();
  });
});

test('KI-1 KI-32: connections to Kafka are cut in the middle of an answer, or all at once', async (t) => {
  await trouble(t, 'kafka cut', 20, async (random) => {
    kafka.proxy?.set({ kind: 'cut', afterBytes: Math.floor(random() * 60_000) });
    await sleep(random() * 500);
    if (random() < 0.5) kafka.proxy?.breakAll();
  });
});

test('KI-1 KI-32: a connection to Kafka falls silent in the middle of an answer', async (t) => {
  await trouble(t, 'kafka stalled', 10, async (random) => {
    kafka.proxy?.set({ kind: 'stall', afterBytes: Math.floor(random() * 60_000) });
    await sleep(1000 + random() * 2000);
  });
});

test('KI-1 KI-32: Kafka cannot be reached for longer than the session', async (t) => {
  await trouble(t, 'kafka refused', 5, async (random) => {
    kafka.proxy?.set({ kind: 'refuse' });
    kafka.proxy?.breakAll();
    await sleep(2000 + random() * 1500);
    kafka.proxy?.set({ kind: 'none' });
  });
});

test('KI-34: a byte of a record batch is changed on the way: the batch is read again, and no record is stored wrong', async (t) => {
  const random = seeded(printedSeed('kafka flipped'));
  for (let round = 0; round < Math.min(rounds, 20); round += 1) {
    const bed = await ingestBed(t, { kafka, isProxied: true, partitions: 1 });
    // One batch, so that most of the answer is covered by its checksum.
    const records = Array.from({ length: 1500 }, (_, n) => randomRecord(random, 0, n, 30));
    await kafka.produce(bed.topic, records);
    const ingest = await bed.instance('flipped');
    // What is said before the batch is much less, and the batch is longer.
    kafka.proxy?.set({ kind: 'flip', afterBytes: 20_000 + Math.floor(random() * 20_000) });
    ingest.start();
    await bed.check();
    await ingest.kill('SIGKILL');
    kafka.proxy?.set({ kind: 'none' });
  }
});
