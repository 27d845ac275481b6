import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import kafkajs from 'kafkajs';
import { readDesired } from './agent/desired-modules.ts';
import type { HubCore } from './hub/hub.ts';
import { freePort } from './net/free-port.ts';
import { findKafka, kafkaAddress, presentKafka } from './services/find-kafka.ts';
import { KafkaBroker } from './services/kafka-broker.ts';
import { withoutWarning } from './without-warning.ts';

const MODULE = 'kafka-ingest';
const TOPIC = 'sample';
const BROKER_VARIABLES = ['KAFKA_BROKER', 'KAFKA_BROKERS'];
/** The key of the first sample record, and so of the first key that appears in Redis. */
export const SAMPLE_KEY = 'battery:1';
const RECORDS = [
  { key: SAMPLE_KEY, value: { battery_id: 1, state: 'charging', charge: 81 } },
  { key: 'battery:2', value: { battery_id: 2, state: 'idle', charge: 100 } },
  { key: 'battery:3', value: { battery_id: 3, state: 'discharging', charge: 37 } },
];

export interface SampleKafkaOptions {
  readonly hub: HubCore;
  readonly stateDir: string;
  readonly env: NodeJS.ProcessEnv;
  /** Fetch Kafka when it is not on this machine. */
  readonly isAsked: boolean;
  readonly say: (line: string) => void;
}

export interface SampleKafka {
  /** `absent`: the module has no broker and Kafka is not on this machine. */
  readonly kind: 'starting' | 'absent';
  /** True once the records are in the topic and the module knows where it is. */
  readonly ready: Promise<boolean>;
  stop(): Promise<void>;
}

/**
 * Gives kafka-ingest some records where nobody has named a broker: an Apache Kafka on loopback, its data in the state folder, or the
 * broker that EDGE_KAFKA_ADDRESS names. It starts beside everything else, which does not wait for it. Undefined when the deployment
 * has no kafka-ingest, its broker is set, or EDGE_KAFKA_ADDRESS is `none` and nobody asked for Kafka.
 */
export async function startSampleKafka(options: SampleKafkaOptions): Promise<SampleKafka | undefined> {
  const { hub, env, isAsked, say } = options;
  if (!isWanted(hub)) return undefined;
  const named = kafkaAddress(env);
  if (named === 'none' && !isAsked) {
    forget(hub);
    return undefined;
  }
  const running = named === 'none' ? undefined : named;
  const present = running === undefined ? await presentKafka(env) : undefined;
  if (running === undefined && present === undefined && !isAsked) {
    forget(hub);
    return { kind: 'absent', ready: Promise.resolve(false), stop: () => Promise.resolve() };
  }
  const stopping = new AbortController();
  let broker: KafkaBroker | undefined;
  const open = async (): Promise<string> => {
    if (running !== undefined) return `${running.host}:${running.port}`;
    const kafka = present ?? (await findKafka({ env, say: (line) => say(`kafka: ${line}`) }));
    const port = await freePort();
    stopping.signal.throwIfAborted();
    broker = new KafkaBroker({
      kafka,
      folder: join(options.stateDir, 'sample-kafka'),
      listeners: [{ name: 'PLAINTEXT', port }],
    });
    await broker.start(stopping.signal);
    return `127.0.0.1:${port}`;
  };
  const run = async (): Promise<boolean> => {
    const address = await open();
    // kafkajs gives times that have passed to setTimeout.
    await withoutWarning('TimeoutNegativeWarning', () => produce(address));
    const told = hub.twins.patchDesired(MODULE, { desired: { brokers: [address], topics: [TOPIC] } });
    if (!told.ok) throw new Error(told.problem);
    say(`sample: ${MODULE} takes the topic ${TOPIC} of the Kafka at ${address}: keys ${SAMPLE_KEY} to 3`);
    return true;
  };
  const ready = run().catch((error: unknown) => {
    if (!stopping.signal.aborted)
      say(`sample: no Kafka: ${error instanceof Error ? error.message : 'failed'}`);
    return false;
  });
  return {
    kind: 'starting',
    ready,
    async stop() {
      stopping.abort();
      // Nobody waits for a download.
      if (broker !== undefined) await ready;
      forget(hub);
      // It has nothing to lose that it would not read again.
      await broker?.kill('SIGKILL');
    },
  };
}

async function produce(address: string): Promise<void> {
  const kafka = new kafkajs.Kafka({
    clientId: 'local-edge',
    brokers: [address],
    logLevel: kafkajs.logLevel.NOTHING,
  });
  const admin = kafka.admin();
  const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
  try {
    await admin.connect();
    await admin.createTopics({
      waitForLeaders: true,
      topics: [{ topic: TOPIC, numPartitions: 3, replicationFactor: 1 }],
    });
    await producer.connect();
    await producer.send({
      topic: TOPIC,
      messages: RECORDS.map(({ key, value }) => ({ key, value: JSON.stringify(value) })),
    });
  } finally {
    await Promise.allSettled([admin.disconnect(), producer.disconnect()]);
  }
}

/** The sample of an earlier start counts as none: it has ended. */
function isWanted(hub: HubCore): boolean {
  const agent = hub.twins.get('$edgeAgent')?.desired.properties ?? {};
  const module = readDesired(agent).modules.find((one) => one.name === MODULE && one.status === 'running');
  const twin = hub.twins.get(MODULE);
  if (module === undefined || twin === undefined) return false;
  const listed = module.createOptions['Env'];
  const names = [
    ...Object.keys(module.env),
    ...(Array.isArray(listed) ? listed.map((entry) => String(entry).split('=')[0] ?? '') : []),
  ];
  if (names.some((name) => BROKER_VARIABLES.includes(name))) return false;
  return twin.desired.properties['brokers'] === undefined || isOurs(hub);
}

function isOurs(hub: HubCore): boolean {
  const { brokers, topics } = hub.twins.get(MODULE)?.desired.properties ?? {};
  const isHere = /^\[\["(?:127\.|localhost:|::1)[^,]*"\]\]$/.test(JSON.stringify([brokers]));
  return isHere && isDeepStrictEqual(topics, [TOPIC]);
}

/** A module that is told of a broker which is not there would wait for it and report trouble. */
function forget(hub: HubCore): void {
  if (isOurs(hub)) hub.twins.patchDesired(MODULE, { desired: { brokers: null, topics: null } });
}
