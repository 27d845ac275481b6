import { deepEqual, equal, ok } from 'node:assert/strict';
import { statSync, truncateSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { ingestBed, KEEPS_ALL } from '../helpers/ingest-bed.ts';
import type { IngestBed } from '../helpers/ingest-bed.ts';
import { startLoad } from '../helpers/ingest-ledger.ts';
import { startKafka } from '../helpers/kafka.ts';
import { printedSeed, rounds, seeded } from '../helpers/ledger.ts';
import { freePort, startRedis } from '../helpers/redis.ts';
import { startSentinel } from '../helpers/sentinel.ts';

const kafka = await startKafka(undefined);
after(() => kafka.stop());

/** Two instances under load, and what happens to Redis a few times; then everything is compared. */
async function trouble(
  t: TestContext,
  name: string,
  happen: (bed: IngestBed, random: () => number) => Promise<void>,
): Promise<IngestBed> {
  const random = seeded(printedSeed(name));
  const bed = await ingestBed(t, { kafka });
  const instances = [await bed.instance('a'), await bed.instance('b')];
  for (const one of instances) one.start();
  for (const one of instances) await one.ready();
  const load = startLoad(t, kafka, bed.topic, random);
  for (let round = 0; round < Math.min(rounds, 20); round += 1) {
    await sleep(100 + random() * 600);
    await happen(bed, random);
  }
  await sleep(300);
  await load.stop();
  return bed;
}

test('KI-3 KI-13: Redis (appendfsync always) is killed and started again under load: nothing lost, doubled or heard twice', async (t) => {
  const bed = await trouble(t, 'redis killed', async ({ redis }, random) => {
    await redis.kill('SIGKILL');
    await sleep(random() * 800);
    await redis.restart();
  });
  // While Redis was away the subscriber was too: what was published before it came back went unheard.
  await bed.check({ mayMiss: true });
});

test('KI-13: Redis stands still for longer than a command may take, with calls under way: each takes effect once', async (t) => {
  const bed = await trouble(t, 'redis stopped', async ({ redis }, random) => {
    await redis.kill('SIGSTOP');
    await sleep(1200 + random() * 1000);
    await redis.kill('SIGCONT');
  });
  await bed.check();
});

test('KI-13: Redis is read-only for a while: what it refuses is sent again', async (t) => {
  const other = await startRedis(t);
  const bed = await trouble(t, 'redis read-only', async ({ client }, random) => {
    await client.config('SET', 'replica-serve-stale-data', 'yes');
    // A replica of a server that cannot be reached keeps its data and takes no writes.
    await client.replicaof('127.0.0.1', String(await freePort()));
    await sleep(300 + random() * 800);
    await client.replicaof('NO', 'ONE');
  });
  await other.stop();
  await bed.check();
});

test('KI-13 KI-17: Redis is full for a while: whole steps are refused, none in part', async (t) => {
  const bed = await trouble(t, 'redis full', async ({ client }, random) => {
    await client.config('SET', 'maxmemory', '1mb');
    await sleep(300 + random() * 800);
    await client.config('SET', 'maxmemory', '0');
  });
  await bed.check();
});

test('KI-13: a Sentinel fails over to the replica: the state is right on the new primary, and nothing is heard twice there', async (t) => {
  const random = seeded(printedSeed('failover'));
  const primary = await startRedis(t, { args: KEEPS_ALL });
  const replica = await startRedis(t, { args: [...KEEPS_ALL, '--replicaof', `127.0.0.1 ${primary.port}`] });
  const port = await freePort();
  await startSentinel(t, port, primary.port);
  // The client of the comparison reads the replica, which becomes the primary; its subscriber hears what reaches it.
  const bed = await ingestBed(t, {
    kafka,
    redis: replica,
    environment: {
      REDIS_HOST: '',
      REDIS_PORT: '',
      REDIS_MODE: 'sentinel',
      REDIS_SENTINELS: `127.0.0.1:${port}`,
      REDIS_SENTINEL_MASTER: 'mymaster',
    },
  });
  const sentinel = new Redis({ port, host: '127.0.0.1' });
  t.after(() => sentinel.disconnect());
  // The Sentinel must know of the replica first.
  await until(async () => (await known(sentinel)) === 1);
  const ingest = await bed.instance('sentinel');
  ingest.start();
  await ingest.ready();
  const load = startLoad(t, kafka, bed.topic, random);
  await sleep(1000 + random() * 500);
  await primary.kill('SIGKILL');
  await until(async () => (await bed.client.role())[0] === 'master');
  await sleep(500);
  await load.stop();
  // What the replica had not received yet is read again from Kafka: its position went back with its data.
  await bed.check({ mayMiss: true });
});

test('KI-3: after a power cut that took the tail of the AOF the state is right again, and repeated notices name the same places', async (t) => {
  const random = seeded(printedSeed('power cut'));
  const redis = await startRedis(t, { args: KEEPS_ALL });
  const bed = await ingestBed(t, { kafka, redis });
  const ingest = await bed.instance('power');
  ingest.start();
  await ingest.ready();
  const load = startLoad(t, kafka, bed.topic, random);
  let repeats = 0;
  for (let round = 0; round < Math.min(rounds, 10); round += 1) {
    await sleep(500 + random() * 800);
    await redis.kill('SIGKILL');
    await cutTail(redis.dir, random);
    await redis.restart();
  }
  await sleep(500);
  await load.stop();
  const expected = await bed.checkState();
  const places = new Map(
    expected.changes.map((changes, partition) => [
      partition,
      new Set(changes.map((one) => Number(one.split(' ')[0]))),
    ]),
  );
  const seen = new Set<string>();
  for (const { topic, partition, offset } of bed.heard) {
    equal(topic, bed.topic);
    ok(places.get(partition)?.has(offset), `a notice of ${partition}/${offset}, which is no record`);
    const place = `${partition}/${offset}`;
    if (seen.has(place)) repeats += 1;
    seen.add(place);
  }
  console.log(`power cut: ${bed.heard.length} notices, ${repeats} of them repeated with their place`);
});

test('KI-7 KI-37: a Redis that was wiped is filled again from the beginning', async (t) => {
  const bed = await ingestBed(t, { kafka });
  const ingest = await bed.instance('refill');
  ingest.start();
  await ingest.ready();
  const load = startLoad(t, kafka, bed.topic, seeded(printedSeed('wiped')));
  await sleep(800);
  await bed.client.flushall();
  await sleep(300);
  await load.stop();
  await bed.checkState();
  deepEqual(await bed.positions(), await kafka.ends(bed.topic));
});

/** Cuts what a machine without power would not have written: up to some kilobytes of the last file. */
async function cutTail(dir: string, random: () => number): Promise<void> {
  const folder = join(dir, 'appendonlydir');
  const inFolder = await readdir(folder).catch(() => undefined);
  const file =
    inFolder === undefined
      ? join(dir, 'appendonly.aof')
      : join(
          folder,
          inFolder
            .filter((name) => name.endsWith('.incr.aof'))
            .sort()
            .at(-1) ?? '',
        );
  const { size } = statSync(file);
  truncateSync(file, Math.max(0, size - Math.floor(random() * Math.min(size / 2, 60_000))));
}

async function known(sentinel: Redis): Promise<number> {
  const replicas = (await sentinel.call('SENTINEL', 'REPLICAS', 'mymaster')) as unknown[];
  return replicas.length;
}

async function until(check: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 30_000; !(await check().catch(() => false));) {
    if (Date.now() > deadline) throw new Error('waited in vain');
    await sleep(50);
  }
}
