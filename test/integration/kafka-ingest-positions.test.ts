import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import kafkajs from 'kafkajs';
import { ingestPart } from '../helpers/ingest-part.ts';
import { startKafka } from '../helpers/kafka.ts';
import type { TestKafka, TestRecord } from '../helpers/kafka.ts';
import { startRedis } from '../helpers/redis.ts';

let kafka: TestKafka;

before(async () => {
  kafka = await startKafka(undefined);
});
after(() => kafka.stop());

function records(from: number, count: number, timestamp?: number): TestRecord[] {
  return Array.from({ length: count }, (_, at) => ({
    key: `k${(from + at) % 10}`,
    value: JSON.stringify({ n: from + at }),
    partition: 0,
    ...(timestamp === undefined ? {} : { timestamp: String(timestamp + from + at) }),
  }));
}

test('KI-4 KI-6 KI-36: a restart goes on at the position of Redis, whatever Kafka has committed, and tells of nothing twice', async (t) => {
  const redis = await startRedis(t);
  const first = await ingestPart(t, { kafka, redis });
  await kafka.produce(first.topic, records(0, 100));
  await first.start();
  await first.settled();
  await first.stop();
  deepEqual(await kafka.committed(first.group, first.topic), [100]);
  // Somebody sets the group back in Kafka, which is no more than a hint.
  await kafka.admin.setOffsets({
    groupId: first.group,
    topic: first.topic,
    partitions: [{ partition: 0, offset: '10' }],
  });
  const second = await ingestPart(t, { kafka, redis, like: first });
  await second.start();
  await kafka.produce(first.topic, records(100, 5));
  await second.settled();
  await second.until('the notices of the new ones', () => second.heard.length >= 5);
  equal(second.heard.length, 5);
  equal(await second.client.xlen(`changes:${first.topic}:0`), 105);
  equal((await second.status())['applied'], 5);
});

test('KI-7 KI-37: a Redis that is wiped while the module runs is filled again without anybody doing anything', async (t) => {
  const redis = await startRedis(t);
  const part = await ingestPart(t, { kafka, redis });
  await kafka.produce(part.topic, records(0, 50));
  await part.start();
  await part.settled();
  await part.client.flushall();
  await kafka.produce(part.topic, records(50, 5));
  await part.settled();
  equal(await part.client.hget('k9', 'n'), '49');
  equal(await part.client.hget('k4', 'n'), '54');
  equal(await part.client.xlen(`changes:${part.topic}:0`), 55);
});

test('KI-7: without a position it begins as onMissingPosition says: at the end, or where Kafka has committed', async (t) => {
  const redis = await startRedis(t);
  const latest = await ingestPart(t, { kafka, redis, settings: { onMissingPosition: 'latest' } });
  await kafka.produce(latest.topic, records(0, 10));
  await latest.start();
  await latest.settled();
  await kafka.produce(latest.topic, records(10, 1));
  await latest.settled();
  equal((await latest.status())['applied'], 1);
  await latest.stop();
  await latest.client.flushall();
  await kafka.admin.setOffsets({
    groupId: latest.group,
    topic: latest.topic,
    partitions: [{ partition: 0, offset: '4' }],
  });
  const committed = await ingestPart(t, {
    kafka,
    redis,
    like: latest,
    settings: { onMissingPosition: 'committed' },
  });
  await committed.start();
  await committed.settled();
  equal((await committed.status())['applied'], 7);
});

test('KI-6: a topic that was made anew is noticed by the record before the position, reported, and read from its start', async (t) => {
  const redis = await startRedis(t);
  const first = await ingestPart(t, { kafka, redis });
  await kafka.produce(first.topic, records(0, 20, 1_600_000_000_000));
  await first.start();
  await first.settled();
  await first.stop();
  await kafka.deleteTopic(first.topic);
  await kafka.createTopic(first.topic, 1);
  // More than before, so that the position looks as if it were in the middle.
  await kafka.produce(first.topic, records(1000, 30, 1_700_000_000_000));
  const second = await ingestPart(t, { kafka, redis, like: first });
  await second.start();
  await second.settled();
  equal((await second.status())['applied'], 30);
  match(await second.text('mismatch'), /made anew/);
  equal(await second.client.hget('k0', 'n'), '1020');
  // The change stream could not have taken these ids again.
  equal(await second.client.xlen(`changes:${first.topic}:0`), 30);
});

test('KI-6: a position behind the end is noticed; onOffsetMismatch stop waits for Resume under other settings', async (t) => {
  const redis = await startRedis(t);
  const part = await ingestPart(t, { kafka, redis, settings: { onOffsetMismatch: 'stop' } });
  await kafka.produce(part.topic, records(0, 10));
  await part.client.hset(await part.positionKey(), 'next', '5000');
  await part.start();
  await part.until('it is held', async () => (await part.text('problem')).includes('behind the end'));
  equal(part.ingest.health().state, 'degraded');
  equal((await part.position())['next'], '5000');
  part.applyLive({ onOffsetMismatch: 'earliest' });
  await part.settled();
  equal((await part.status())['applied'], 10);
});

test('KI-6: records that Kafka removed before they were applied are counted as lost and reported', async (t) => {
  const redis = await startRedis(t);
  const first = await ingestPart(t, { kafka, redis });
  await kafka.produce(first.topic, records(0, 10));
  await first.start();
  await first.settled();
  await first.stop();
  await kafka.produce(first.topic, records(10, 30));
  await kafka.admin.deleteTopicRecords({ topic: first.topic, partitions: [{ partition: 0, offset: '25' }] });
  const second = await ingestPart(t, { kafka, redis, like: first });
  await second.start();
  await second.settled();
  const status = await second.status();
  equal(status['lost'], 15);
  equal(status['applied'], 15);
  match(await second.text('mismatch'), /removed the records from 10 to 24/);
});

test('KI-6: the same topic of another cluster is noticed and read by onOffsetMismatch', async (t) => {
  const redis = await startRedis(t);
  const other = await startKafka(t);
  const first = await ingestPart(t, { kafka, redis });
  await kafka.produce(first.topic, records(0, 10));
  await first.start();
  await first.settled();
  await first.stop();
  await other.createTopic(first.topic, 1);
  await other.produce(first.topic, records(500, 5));
  const second = await ingestPart(t, { kafka: other, redis, like: first });
  await second.start();
  await second.settled();
  match(await second.text('mismatch'), /another Kafka cluster/);
  equal(await second.client.hget('k4', 'n'), '504');
});

test('KI-1 KI-6: aborted and committed transactions: what was aborted takes no effect, and markers do not hold the position back', async (t) => {
  const redis = await startRedis(t);
  const part = await ingestPart(t, { kafka, redis });
  await part.start();
  const producer = kafka.client.producer({
    transactionalId: part.topic,
    idempotent: true,
    maxInFlightRequests: 1,
  });
  await producer.connect();
  t.after(() => producer.disconnect());
  const send = async (value: number, end: 'commit' | 'abort'): Promise<void> => {
    const transaction = await producer.transaction();
    await transaction.send({
      topic: part.topic,
      messages: [{ key: 'k', value: JSON.stringify({ n: value }) }],
    });
    await transaction[end]();
  };
  await send(1, 'commit');
  await send(2, 'abort');
  await send(3, 'commit');
  await send(4, 'abort');
  await part.settled();
  equal(await part.client.hget('k', 'n'), '3');
  deepEqual(
    (await part.client.xrange(`changes:${part.topic}:0`, '-', '+')).map(([id]) => id),
    ['0-1', '4-1'],
  );
});

test('KI-1: a compacted topic with gaps in its offsets is read to its end', async (t) => {
  const redis = await startRedis(t);
  const first = await ingestPart(t, { kafka, redis });
  await kafka.admin.alterConfigs({
    validateOnly: false,
    resources: [
      {
        type: kafkajs.ConfigResourceTypes.TOPIC,
        name: first.topic,
        configEntries: [
          { name: 'cleanup.policy', value: 'compact' },
          { name: 'min.cleanable.dirty.ratio', value: '0.001' },
          { name: 'segment.ms', value: '100' },
          { name: 'max.compaction.lag.ms', value: '100' },
        ],
      },
    ],
  });
  for (let round = 0; round < 4; round += 1) {
    await kafka.produce(first.topic, records(round * 20, 20));
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  await first.start();
  await first.settled();
  equal(await first.client.hget('k9', 'n'), '79');
});

test('KI-2 KI-5: a batch of somebody who was the owner once is refused, and changes and tells nothing', async (t) => {
  const redis = await startRedis(t);
  const part = await ingestPart(t, { kafka, redis });
  await kafka.produce(part.topic, records(0, 10));
  await part.start();
  await part.settled();
  // Another owner has moved on meanwhile.
  const key = await part.positionKey();
  await part.client.hset(key, 'next', '15', 'ts', '');
  await kafka.produce(part.topic, records(10, 10));
  await part.settled();
  equal((await part.status())['applied'], 15);
  await part.until('the notices', () => part.heard.length >= 15);
  equal(part.heard.length, 15);
  equal(await part.client.hget('k4', 'n'), '4');
  equal(await part.client.hget('k5', 'n'), '15');
});

test('KI-2 KI-13: Redis without memory refuses a step as a whole: nothing of it is there, and all of it once there is room', async (t) => {
  const redis = await startRedis(t, { args: ['--maxmemory-policy', 'noeviction'] });
  const part = await ingestPart(t, {
    kafka,
    redis,
    settings: { memoryHighPercent: 100, memoryLowPercent: 100 },
  });
  await kafka.produce(part.topic, records(0, 10));
  await part.start();
  await part.settled();
  await part.client.config('SET', 'maxmemory', '1');
  await kafka.produce(part.topic, records(10, 10));
  await part.until(
    'it reports',
    async () => (await part.text('problem')).includes('memory') || part.ingest.pauses.size > 0,
  );
  equal((await part.position())['next'], '10');
  equal(await part.client.hget('k0', 'n'), '0');
  await part.client.config('SET', 'maxmemory', '0');
  await part.settled();
  equal(await part.client.hget('k0', 'n'), '10');
  await part.until('the notices', () => part.heard.length >= 20);
  equal(part.heard.length, 20);
});

test('KI-34 KI-40: a pattern takes all topics that match, several topics are read at once, and one that is missing is named', async (t) => {
  const redis = await startRedis(t);
  const base = await ingestPart(t, { kafka, redis });
  await kafka.createTopic(`${base.topic}-a`, 2);
  await kafka.createTopic(`${base.topic}-b`, 1);
  await kafka.produce(`${base.topic}-a`, [{ key: 'a', value: '{"n":1}' }]);
  await kafka.produce(`${base.topic}-b`, [{ key: 'b', value: '{"n":1}' }]);
  await kafka.produce(base.topic, [{ key: 'c', value: '{"n":1}' }]);
  const part = await ingestPart(t, {
    kafka,
    redis,
    like: base,
    settings: { topics: [base.topic, `/^${base.topic}-/`] },
  });
  await part.start();
  await part.until('all three', async () => (await part.client.exists('a', 'b', 'c')) === 3);
  equal((await part.status())['partitionsAssigned'], 4);
  const wrong = await ingestPart(t, { kafka, redis, like: base, settings: { topics: ['not-there'] } });
  const error: unknown = await wrong.ingest
    .start(AbortSignal.timeout(5000))
    .catch((thrown: unknown) => thrown);
  match(String(error), /not-there does not exist/);
  ok(!String(error).includes('Error: Error'));
});

test('KI-40: instances of one group that read different topics each read all of theirs', async (t) => {
  const redis = await startRedis(t);
  const one = await ingestPart(t, { kafka, redis, partitions: 3 });
  const topic = `${one.topic}-other`;
  await kafka.createTopic(topic, 3);
  const other = await ingestPart(t, { kafka, redis, like: { ...one, topic } });
  const produce = async (n: number): Promise<void> => {
    for (const partition of [0, 1, 2])
      for (const each of [one.topic, topic])
        await kafka.produce(each, [{ key: `${each}:${partition}`, value: `{"n":${n}}`, partition }]);
  };
  await produce(1);
  await Promise.all([one.start(), other.start()]);
  await one.settled();
  await other.settled();
  const assigned = async (): Promise<unknown[]> =>
    Promise.all([one, other].map(async (part) => (await part.status())['partitionsAssigned']));
  await one.until('both are in the group', async () => String(await assigned()) === '3,3');
  await produce(2);
  await one.settled();
  await other.settled();
  equal((await one.client.keys('part*')).length, 6);
});

for (const name of ['gzip', 'snappy', 'lz4', 'zstd']) {
  test(`KI-33: records that the broker has compressed with ${name} are read`, async (t) => {
    const redis = await startRedis(t);
    const base = await ingestPart(t, { kafka, redis });
    const topic = `${base.topic}-${name}`;
    await kafka.createTopic(topic, 1, { 'compression.type': name });
    const part = await ingestPart(t, { kafka, redis, like: { ...base, topic } });
    const noise = randomBytes(40_000).toString('base64');
    const big = { filler: 'abc '.repeat(500), text: 'grüße', zeros: '0'.repeat(100_000), noise };
    await kafka.produce(
      topic,
      Array.from({ length: 60 }, (_, n) => ({ key: `k${n}`, value: JSON.stringify({ n, ...big }) })),
      { perBatch: 4 },
    );
    await part.start();
    await part.settled();
    equal((await part.client.keys('k*')).length, 60);
    deepEqual(await part.client.hgetall('k59'), { n: '59', ...big });
  });
}
