/** The same client with the same limits and nothing behind it: what reading alone costs. Prints one line of figures. */
import kafkajs from 'kafkajs';
import { ownUsage } from './process-usage.ts';

const [address = '', topic = '', count = '0'] = process.argv.slice(2);
const kafka = new kafkajs.Kafka({ brokers: [address], logLevel: kafkajs.logLevel.ERROR });
const consumer = kafka.consumer({
  groupId: `raw-${process.pid}`,
  maxBytesPerPartition: 524_288,
  maxBytes: 2_097_152,
  maxWaitTimeInMs: 500,
});
await consumer.connect();
await consumer.subscribe({ topic, fromBeginning: true });
let seen = 0;
let bytes = 0;
let before = 0;
let startedAt = 0;
await consumer.run({
  autoCommit: false,
  eachBatch: ({ batch }) => {
    // The first batch has been fetched before the clock starts.
    if (startedAt === 0) {
      startedAt = performance.now();
      before = batch.messages.length;
    }
    for (const message of batch.messages) bytes += message.value?.length ?? 0;
    seen += batch.messages.length;
    if (seen >= Number(count)) {
      const perSecond = ((seen - before) / (performance.now() - startedAt)) * 1000;
      console.log(JSON.stringify({ perSecond, bytes, ...ownUsage() }));
      process.exit(0);
    }
    return Promise.resolve();
  },
});
