/** The original's shape: one record at a time, HSET, SADD and PUBLISH, each awaited. Prints one line of figures. */
import { Redis } from 'ioredis';
import kafkajs from 'kafkajs';
import { ownUsage } from './process-usage.ts';

const [address = '', topic = '', count = '0', port = '0'] = process.argv.slice(2);
const redis = new Redis({ port: Number(port), host: '127.0.0.1' });
const kafka = new kafkajs.Kafka({ brokers: [address], logLevel: kafkajs.logLevel.ERROR });
const consumer = kafka.consumer({ groupId: `seed-${process.pid}` });
await consumer.connect();
await consumer.subscribe({ topic, fromBeginning: true });
let seen = 0;
let startedAt = 0;
await consumer.run({
  eachMessage: async ({ message }) => {
    if (startedAt === 0) startedAt = performance.now();
    const data = JSON.parse(message.value?.toString() ?? '{}') as Record<string, string | number>;
    const key = `battery:${data['battery_id']}:data`;
    await redis.hset(key, data);
    await redis.sadd('info:batteries:ids', String(data['battery_id']));
    await redis.publish(key, 'updates');
    seen += 1;
    if (seen === Number(count)) {
      const perSecond = (seen / (performance.now() - startedAt)) * 1000;
      console.log(JSON.stringify({ perSecond, ...ownUsage() }));
      process.exit(0);
    }
  },
});
