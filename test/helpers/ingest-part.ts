import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { createLog, createMetrics } from '@iotedge-redis/common';
import type { JsonObject, JsonValue, Metrics, MethodReply } from '@iotedge-redis/common';
import { Ingest } from '../../modules/kafka-ingest/src/ingest.ts';
import { registerMetrics } from '../../modules/kafka-ingest/src/ingest-metrics.ts';
import type { Shared } from '../../modules/kafka-ingest/src/ingest-metrics.ts';
import { noCounts } from '../../modules/kafka-ingest/src/lane/lane-counters.ts';
import { fields } from '../../modules/kafka-ingest/src/settings.ts';
import type { IngestSettings } from '../../modules/kafka-ingest/src/settings.ts';
import { positionKey } from '../../modules/kafka-ingest/src/apply/positions.ts';
import type { TestKafka } from './kafka.ts';
import type { TestRedis } from './redis.ts';

/** All settings at their defaults, and what the test gives. */
export function ingestSettings(settings: Partial<IngestSettings>): IngestSettings {
  const defaults = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.default]));
  return { ...(defaults as IngestSettings), ...settings };
}

export interface Notice {
  readonly channel: string;
  readonly text: string;
}

export interface IngestPart {
  readonly topic: string;
  readonly group: string;
  readonly client: Redis;
  /** Every message of every channel, in order. */
  readonly heard: Notice[];
  readonly lines: readonly string[];
  readonly metrics: Metrics;
  readonly ingest: Ingest;
  readonly shared: Shared;
  start(): Promise<void>;
  stop(): Promise<void>;
  call(method: string, payload?: JsonValue): Promise<MethodReply>;
  status(): Promise<JsonObject>;
  /** A field of the status that is a text; empty when there is none. */
  text(name: string): Promise<string>;
  applyLive(settings: Partial<IngestSettings>): void;
  /** Waits until the condition holds. */
  until(what: string, holds: () => boolean | Promise<boolean>): Promise<void>;
  /** Waits until Redis stands at the end of every partition, and the module knows of it. */
  settled(): Promise<void>;
  position(partition?: number): Promise<Record<string, string>>;
  positionKey(partition?: number): Promise<string>;
}

export interface IngestPartOptions {
  readonly kafka: TestKafka;
  readonly redis: Pick<TestRedis, 'port'>;
  readonly partitions?: number;
  readonly settings?: Partial<IngestSettings>;
  /** Another part's topic and group. */
  readonly like?: Pick<IngestPart, 'topic' | 'group'>;
  /** What another part has left, as when the runner makes it anew for other settings. */
  readonly shared?: Shared;
}

const LIMIT_MS = 60_000;
let parts = 0;

/** The component of the module without a runner, against a real Kafka and a real Redis, with a topic and a group of its own. */
export async function ingestPart(t: TestContext, options: IngestPartOptions): Promise<IngestPart> {
  const { kafka, redis, partitions = 1, like } = options;
  parts += 1;
  const topic = like?.topic ?? `part${process.pid}-${parts}`;
  const group = like?.group ?? `part${process.pid}-${parts}`;
  if (like === undefined) await kafka.createTopic(topic, partitions);
  const client = connect(t, redis.port);
  const subscriber = connect(t, redis.port);
  const heard: Notice[] = [];
  subscriber.on('pmessage', (_pattern: string, channel: string, text: string) => {
    heard.push({ channel, text });
  });
  await subscriber.psubscribe('*');
  const settings = ingestSettings({
    brokers: [kafka.address],
    topics: [topic],
    group,
    redisHost: '127.0.0.1',
    redisPort: redis.port,
    redisCommandTimeoutMs: 1000,
    sessionTimeoutMs: 6000,
    fetchWaitMs: 50,
    ...options.settings,
  });
  const lines: string[] = [];
  const log = createLog({ level: 'debug', write: (line) => void lines.push(line) });
  const metrics = createMetrics({ prefix: 'kafka_ingest' });
  const context = { instance: `kafka-ingest-${parts}`, log, report: () => undefined };
  const shared: Shared = options.shared ?? { totals: noCounts(), isPaused: false };
  registerMetrics(metrics, shared);
  const ingest = new Ingest(settings, context, shared);
  const stop = (): Promise<void> => ingest.stop(AbortSignal.timeout(5000));
  t.after(stop);
  const call = (name: string, payload: JsonValue = null): Promise<MethodReply> => {
    const handler = ingest.methods[name];
    if (handler === undefined) throw new Error(`no method ${name}`);
    return handler({ name, payload, requestId: 'request-1' });
  };
  const status = async (): Promise<JsonObject> => (await call('IngestStatus')).payload as JsonObject;
  const until = async (what: string, holds: () => boolean | Promise<boolean>): Promise<void> => {
    const deadline = Date.now() + LIMIT_MS;
    while (!(await holds())) {
      if (Date.now() > deadline) throw new Error(`waited in vain: ${what}\n${lines.slice(-25).join('')}`);
      await sleep(20);
    }
  };
  const keyOf = async (partition = 0): Promise<string> => {
    const { clusterId } = await kafka.admin.describeCluster();
    return positionKey(group, clusterId, { topic, partition });
  };
  const position = async (partition = 0): Promise<Record<string, string>> =>
    client.hgetall(await keyOf(partition));
  return {
    topic,
    group,
    client,
    heard,
    lines,
    metrics,
    ingest,
    shared,
    // As the runner does: a start that fails is tried again.
    async start() {
      const deadline = Date.now() + LIMIT_MS;
      for (;;) {
        try {
          await ingest.start(AbortSignal.timeout(LIMIT_MS));
          return;
        } catch (error) {
          if (Date.now() > deadline) throw error;
          await sleep(200);
        }
      }
    },
    stop,
    call,
    status,
    async text(name) {
      const value = (await status())[name];
      return typeof value === 'string' ? value : '';
    },
    applyLive: (live) => ingest.applyLive({ ...settings, ...live }),
    until,
    settled: () =>
      until('Redis stands at the end of every partition', async () => {
        const ends = await kafka.ends(topic);
        const positions = await Promise.all(
          ends.map(async (_, at) => Number((await position(at))['next'] ?? -1)),
        );
        // The position is in Redis before its answer is back, and the counters move with the answer.
        return (
          ends.every((end, at) => positions[at] === end) &&
          ingest.lanes.every(
            (lane) => lane.topic !== topic || lane.next === undefined || lane.next === ends[lane.partition],
          )
        );
      }),
    position,
    positionKey: keyOf,
  };
}

function connect(t: TestContext, port: number): Redis {
  const client = new Redis(port, '127.0.0.1', { protocol: 2 });
  client.on('error', () => undefined);
  t.after(() => client.disconnect());
  return client;
}
