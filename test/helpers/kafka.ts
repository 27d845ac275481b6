import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs from 'kafkajs';
import type { Admin, CompressionTypes, IHeaders, Kafka, Producer } from 'kafkajs';
import { findKafka } from '../../local-edge/src/services/find-kafka.ts';
import { KafkaBroker } from '../../local-edge/src/services/kafka-broker.ts';
import type { BrokerListener } from '../../local-edge/src/services/kafka-broker.ts';
import { startFaultProxy } from './fault-proxy.ts';
import type { FaultProxy } from './fault-proxy.ts';
import { freePort } from './redis.ts';

export interface KafkaOptions {
  /** Puts a fault proxy in front: `proxied` is then an address whose every connection, the later ones too, goes through it. */
  readonly isProxied?: boolean;
  /** Settings of server.properties on top of those of every test broker. */
  readonly properties?: Readonly<Record<string, string>>;
  /** More listeners, for TLS and SASL; their settings are in `properties`. */
  readonly listeners?: readonly BrokerListener[];
  readonly formatArguments?: readonly string[];
}

export interface TestRecord {
  readonly key?: string | Buffer | null;
  readonly value: string | Buffer | null;
  readonly partition?: number;
  readonly headers?: IHeaders;
  /** Milliseconds since 1970. */
  readonly timestamp?: string;
}

export interface TestKafka {
  /** `127.0.0.1:PORT`, straight to the broker. */
  readonly address: string;
  /** The way through the proxy; the same as `address` without one. */
  readonly proxied: string;
  readonly proxy: FaultProxy | undefined;
  readonly pid: number;
  readonly client: Kafka;
  readonly admin: Admin;
  createTopic(topic: string, partitions?: number, config?: Readonly<Record<string, string>>): Promise<void>;
  deleteTopic(topic: string): Promise<void>;
  /** Sends in order, all or an error; a record without a partition goes by its key. Returns when all replicas have it. */
  produce(
    topic: string,
    records: readonly TestRecord[],
    options?: { readonly compression?: CompressionTypes; readonly perBatch?: number },
  ): Promise<void>;
  /** The next offset to be written of each partition. */
  ends(topic: string): Promise<number[]>;
  /** What a group has committed of each partition, -1 where it has nothing. */
  committed(group: string, topic: string): Promise<number[]>;
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same ports and data, after it has ended (it is stopped first when it has not). */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * A real Apache Kafka of the caller's own, one node on loopback with a data folder that goes with it. It takes seconds and some 300
 * MB: one for a test file, with a topic for each test. A broker named by EDGE_KAFKA_ADDRESS is not used, since tests kill theirs.
 */
export async function startKafka(t: TestContext | undefined, options: KafkaOptions = {}): Promise<TestKafka> {
  const folder = await mkdtemp(join(tmpdir(), 'kafka-'));
  const kafka = await findKafka();
  const port = await freePort();
  const behind = options.isProxied === true ? await freePort() : undefined;
  const proxy = behind === undefined ? undefined : await startFaultProxy(undefined, { port: behind });
  const broker = new KafkaBroker({
    kafka,
    folder,
    listeners: [
      { name: 'DIRECT', port },
      ...(behind === undefined || proxy === undefined
        ? []
        : [{ name: 'PROXIED', port: behind, advertisedPort: proxy.port }]),
      ...(options.listeners ?? []),
    ],
    ...(options.properties === undefined ? {} : { properties: options.properties }),
    ...(options.formatArguments === undefined ? {} : { formatArguments: options.formatArguments }),
  });
  const address = `127.0.0.1:${port}`;
  const client = new kafkajs.Kafka({
    clientId: 'test-bed',
    brokers: [address],
    logLevel: kafkajs.logLevel.NOTHING,
    retry: { retries: 30, initialRetryTime: 50, maxRetryTime: 500 },
  });
  const admin = client.admin();
  // Idempotent: what the client sends again after an error must not be there twice.
  const producer = client.producer({
    idempotent: true,
    maxInFlightRequests: 1,
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
  });
  let isStopped = false;
  const stop = async (): Promise<void> => {
    if (isStopped) return;
    isStopped = true;
    await Promise.allSettled([admin.disconnect(), producer.disconnect()]);
    await broker.kill('SIGKILL');
    await proxy?.close();
    await rm(folder, { recursive: true, force: true });
  };
  t?.after(stop);
  try {
    await broker.start();
    await Promise.all([admin.connect(), producer.connect()]);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    address,
    proxied: proxy === undefined ? address : `127.0.0.1:${proxy.port}`,
    proxy,
    get pid() {
      return broker.pid ?? 0;
    },
    client,
    admin,
    async createTopic(topic, partitions = 1, config = {}) {
      const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
      await admin.createTopics({
        waitForLeaders: false,
        topics: [{ topic, numPartitions: partitions, replicationFactor: 1, configEntries }],
      });
      // The broker knows of it a moment later, and the client's own waiting gives up when it does not yet.
      for (let attempt = 0; ; attempt += 1) {
        try {
          const [found] = (await admin.fetchTopicMetadata({ topics: [topic] })).topics;
          if (found?.partitions.every(({ leader }) => leader >= 0) === true) return;
        } catch (error) {
          if (attempt >= 200) throw error;
        }
        if (attempt >= 200) throw new Error(`${topic} has no leaders`);
        await sleep(50);
      }
    },
    async deleteTopic(topic) {
      await admin.deleteTopics({ topics: [topic] });
      while ((await admin.listTopics()).includes(topic)) await sleep(20);
    },
    produce: (topic, records, { compression, perBatch = 5000 } = {}) =>
      sendAll(producer, topic, records, perBatch, compression),
    async ends(topic) {
      return inOrder(
        (await admin.fetchTopicOffsets(topic)).map((one) => ({ partition: one.partition, offset: one.high })),
      );
    },
    async committed(group, topic) {
      // A group that nobody has used yet, or whose coordinator has just been restarted, has no coordinator for a moment.
      for (let attempt = 0; ; attempt += 1) {
        try {
          const [found] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
          return inOrder(found?.partitions ?? []);
        } catch (error) {
          if (attempt === 50) throw error;
          await sleep(100);
        }
      }
    },
    kill: (signal) => broker.kill(signal),
    async restart() {
      await broker.stop();
      await broker.start();
    },
    stop,
  };
}

async function sendAll(
  producer: Producer,
  topic: string,
  records: readonly TestRecord[],
  perBatch: number,
  compression: CompressionTypes | undefined,
): Promise<void> {
  for (let from = 0; from < records.length; from += perBatch) {
    await producer.send({
      topic,
      acks: -1,
      messages: records.slice(from, from + perBatch).map(({ key = null, ...rest }) => ({ key, ...rest })),
      ...(compression === undefined ? {} : { compression }),
    });
  }
}

function inOrder(partitions: readonly { partition: number; offset: string }[]): number[] {
  return [...partitions].sort((a, b) => a.partition - b.partition).map(({ offset }) => Number(offset));
}
