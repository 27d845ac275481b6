import type { Clock, Log, ModuleContext } from '@iotedge-redis/common';
import { optionalBucket, RedisConnection, redisTarget } from '@iotedge-redis/common';
import { Flow } from '../flow/flow.ts';
import type { Slot } from '../flow/lane.ts';
import { databasesOf, instanceSuffix } from '../settings.ts';
import type { BridgeSettings } from '../settings.ts';
import type { Sink } from '../sink/sink.ts';
import { createSink } from '../sink/sinks.ts';
import type { BridgedStream, Outgoing, StreamCounters } from '../streams/bridged-stream.ts';
import { Database } from '../streams/database.ts';
import { Operations } from '../streams/operations.ts';

const MODULE = 'stream-to-mqtt';

export interface PartsOptions {
  readonly settings: BridgeSettings;
  readonly context: ModuleContext;
  readonly totals: StreamCounters;
  readonly clock: Clock;
  readonly log: Log;
  /** False while another instance has the lease. */
  readonly isActive: () => boolean;
  readonly onChange: () => void;
}

export interface BridgeParts {
  readonly sink: Sink<Slot<Outgoing>>;
  readonly flow: Flow;
  readonly databases: readonly Database[];
}

/** Makes the parts of a bridge and joins them; nothing is opened yet. */
export function createParts(options: PartsOptions): BridgeParts {
  const { settings, context, clock, log, totals, onChange } = options;
  const target = redisTarget(settings);
  const suffix = instanceSuffix(MODULE, context.instance);
  const named = (name: string): string => (suffix === '' ? name : `${name}-${suffix}`);
  const databases: Database[] = [];
  const databaseOf = (stream: BridgedStream): Database | undefined =>
    databases.find(({ db }) => db === stream.db);
  const sink = createSink(settings, {
    context,
    suffix,
    clientId: named(settings.mqttClientId),
    clock,
  });
  const now = (): number => clock.now();
  const flow = new Flow({
    sink,
    window: settings.sink === 'mqtt' ? settings.mqttWindow : sink.window,
    batchSize: settings.batchSize,
    maxDeliveries: settings.maxDeliveries,
    messageBucket: optionalBucket(settings.maxMessagesPerSecond, now),
    byteBucket: optionalBucket(settings.maxBytesPerSecond, now),
    clock,
    log,
    done: (entry) => {
      if (entry.replay !== undefined) entry.replay(true);
      else if (entry.epoch === entry.source.epoch)
        databaseOf(entry.source)?.acknowledger.add(entry.source, entry.id);
    },
    filtered: (stream, id) => databaseOf(stream)?.acknowledger.add(stream, id),
    dead: (entry, refusal) => {
      if (entry.replay !== undefined) entry.replay(false);
      else databaseOf(entry.source)?.burial.add(entry, refusal);
    },
    isActive: options.isActive,
    onChange,
  });
  const operations = new Operations({
    perSecond: settings.redisRateLimit,
    concurrency: settings.redisPoolSize,
    retries: settings.redisMaxRetries,
    retryMs: settings.redisRetryInterval * 1000,
    clock,
  });
  for (const db of databasesOf(settings)) {
    const commands = new RedisConnection({
      target: { ...target, db },
      name: named(MODULE),
      log: log.child(`db${db}`),
    });
    databases.push(
      new Database({
        db,
        settings,
        target,
        commands,
        consumer: named(settings.consumer),
        instance: context.instance,
        flow,
        operations,
        totals,
        clock,
        log,
        isElsewhere: (name, other) =>
          databases.some((each) => each.db !== other && each.find(name) !== undefined),
        onFigures: onChange,
        onStreams: () => databases.forEach((each) => each.reshape()),
      }),
    );
  }
  // Only now is it known which names stand in several databases.
  for (const database of databases) database.reshape();
  return { sink, flow, databases };
}
