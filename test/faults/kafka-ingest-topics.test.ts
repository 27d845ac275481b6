import { equal, match } from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ingestPart } from '../helpers/ingest-part.ts';
import { startKafka } from '../helpers/kafka.ts';
import type { TestKafka } from '../helpers/kafka.ts';
import { startRedis } from '../helpers/redis.ts';
import type { TestRedis } from '../helpers/redis.ts';

let kafka: TestKafka;
let redis: TestRedis;

before(async () => {
  [kafka, redis] = await Promise.all([startKafka(undefined), startRedis(undefined)]);
});
after(async () => {
  await Promise.all([kafka.stop(), redis.stop()]);
});

const FOUND_MS = 90_000;

test('KI-6: a topic that is deleted while it is read is named, and is read from its start when it is there again', async (t) => {
  const part = await ingestPart(t, { kafka, redis, settings: { valueMode: 'string' } });
  await kafka.produce(part.topic, [
    { key: 'gone:1', value: 'a' },
    { key: 'gone:2', value: 'b' },
  ]);
  await part.start();
  await part.settled();
  await kafka.deleteTopic(part.topic);
  await part.until('it is named', () => part.ingest.health().detail?.includes(part.topic) === true);
  equal(part.ingest.health().state, 'degraded');
  match(part.ingest.health().detail ?? '', /does not exist/);
  await kafka.createTopic(part.topic);
  await kafka.produce(part.topic, [{ key: 'gone:1', value: 'c' }]);
  await part.until('it is read again', async () => (await part.client.get('gone:1')) === 'c');
  await part.settled();
  equal(part.ingest.health().state, 'ok');
});

test('KI-40: partitions that are added to a topic, and topics that a pattern takes, are found within about a minute', async (t) => {
  const fixed = await ingestPart(t, { kafka, redis, settings: { valueMode: 'string' } });
  const pattern = await ingestPart(t, {
    kafka,
    redis,
    settings: { valueMode: 'string', topics: ['/^came-/'] },
  });
  await Promise.all([fixed.start(), pattern.start()]);
  equal(pattern.ingest.health().state, 'ok');
  await fixed.until('it is at work', async () => (await fixed.status())['partitionsAssigned'] === 1);
  await kafka.admin.createPartitions({ topicPartitions: [{ topic: fixed.topic, count: 3 }] });
  await kafka.createTopic('came-later', 2);
  for (let failures = 0; ;) {
    try {
      await kafka.produce(fixed.topic, [{ key: 'later:2', value: 'x', partition: 2 }]);
      break;
    } catch (error) {
      // The producer has to hear of the partition, too.
      failures += 1;
      if (failures === 50) throw error;
      await sleep(200);
    }
  }
  await kafka.produce('came-later', [{ key: 'came:1', value: 'x', partition: 1 }]);
  const deadline = Date.now() + FOUND_MS;
  while ((await fixed.client.exists('later:2', 'came:1')) < 2) {
    if (Date.now() > deadline)
      throw new Error(`${fixed.lines.slice(-20).join('')}\n${pattern.lines.slice(-20).join('')}`);
    await sleep(200);
  }
});
