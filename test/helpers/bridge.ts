import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLog, createMetrics } from '@iotedge-redis/common';
import type { EdgeMessage, JsonObject, JsonValue, MethodReply, ModuleContext } from '@iotedge-redis/common';
import { Redis } from 'ioredis';
import { connectAsync } from 'mqtt';
import type { IClientOptions, MqttClient } from 'mqtt';
import { registerMetrics } from '../../modules/stream-to-mqtt/src/bridge/bridge-metrics.ts';
import type { Shared } from '../../modules/stream-to-mqtt/src/bridge/bridge-metrics.ts';
import { Bridge } from '../../modules/stream-to-mqtt/src/bridge/bridge.ts';
import { noCounts } from '../../modules/stream-to-mqtt/src/streams/bridged-stream.ts';
import { fields } from '../../modules/stream-to-mqtt/src/settings.ts';
import type { BridgeSettings } from '../../modules/stream-to-mqtt/src/settings.ts';

/** Settings as the parser makes them, with these changed; times are short for tests. */
export function bridgeSettings(settings: Partial<BridgeSettings>): BridgeSettings {
  const defaults = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.default]));
  return {
    ...(defaults as unknown as BridgeSettings),
    discoveryIntervalMs: 200,
    readTimeoutMs: 200,
    redisCommandTimeoutMs: 1000,
    redisRetryInterval: 0,
    ...settings,
  };
}

export interface TestBridge {
  readonly bridge: Bridge;
  readonly lines: readonly string[];
  readonly reports: readonly JsonValue[];
  /** Messages that went to an output, with the reason to refuse one, if any. */
  readonly sent: EdgeMessage[];
  failSend: (() => Error | undefined) | undefined;
  readonly call: (method: string, payload?: JsonValue) => Promise<MethodReply>;
  readonly status: (stream: string) => Promise<JsonObject>;
  readonly metrics: () => string;
  readonly stop: () => Promise<void>;
}

/** The component that bridges, without a runner; it stops with the test. */
export async function startBridge(
  t: TestContext,
  settings: Partial<BridgeSettings>,
  options: { readonly instance?: string } = {},
): Promise<TestBridge> {
  const lines: string[] = [];
  const log = createLog({ level: 'debug', write: (line) => lines.push(line) });
  const metrics = createMetrics({ prefix: 'test' });
  const reports: JsonValue[] = [];
  const shared: Shared = { totals: noCounts(), losses: 0 };
  registerMetrics(metrics, shared, Date.now);
  const result: TestBridge = {
    bridge: undefined as unknown as Bridge,
    lines,
    reports,
    sent: [],
    failSend: undefined,
    async call(method, payload = null) {
      const handler = result.bridge.methods[method];
      if (handler === undefined) throw new Error(`no method ${method}`);
      return handler({ name: method, payload, requestId: 'request-1' });
    },
    async status(stream) {
      const reply = await result.call('BridgeStatus', { stream });
      const { streams } = reply.payload as { streams?: JsonObject[] };
      return streams?.[0] ?? {};
    },
    metrics: () => metrics.text(),
    stop: () => result.bridge.stop(AbortSignal.timeout(3000)),
  };
  const context: ModuleContext = {
    name: 'stream-to-mqtt',
    instance: options.instance ?? 'stream-to-mqtt',
    log,
    metrics,
    report: (key, value) => void reports.push({ [key]: value }),
    settingsVersion: () => 0,
    edge: {
      kind: 'standalone',
      identity: { deviceId: 'device', moduleId: 'module' },
      status: { state: 'connected', since: new Date() },
      onInput: () => undefined,
      send: (_, message) => {
        const failure = result.failSend?.();
        if (failure !== undefined) return Promise.reject(failure);
        result.sent.push(message);
        return Promise.resolve();
      },
    },
  };
  const bridge = new Bridge(bridgeSettings(settings), context, shared);
  Object.assign(result, { bridge });
  t.after(() => result.stop());
  await bridge.start(AbortSignal.timeout(10_000));
  return result;
}

export interface Received {
  readonly topic: string;
  readonly payload: Buffer;
  readonly text: string;
  readonly retain: boolean;
  readonly qos: number;
  readonly properties: Record<string, unknown>;
}

export interface Subscriber {
  readonly client: MqttClient;
  readonly messages: Received[];
  /** Waits until so many messages that fit have come. */
  until(
    count: number,
    fits?: (message: Received) => boolean,
    withinMs?: number,
  ): Promise<readonly Received[]>;
}

/** A subscriber of everything below a topic; it reconnects, and ends with the test. */
export async function subscribe(
  t: TestContext,
  url: string,
  filter = 'redis/#',
  options: IClientOptions = {},
): Promise<Subscriber> {
  const client = await connectAsync(url, {
    protocolVersion: 5,
    reconnectPeriod: 50,
    clientId: `subscriber-${Math.random().toString(16).slice(2)}`,
    properties: { sessionExpiryInterval: 600 },
    clean: false,
    ...options,
  });
  client.on('error', () => undefined);
  t.after(() => client.end(true));
  const messages: Received[] = [];
  client.on('message', (topic, payload, packet) => {
    messages.push({
      topic,
      payload,
      text: payload.toString(),
      retain: packet.retain,
      qos: packet.qos,
      properties: packet.properties ?? {},
    });
  });
  await client.subscribeAsync(filter, { qos: 2 });
  const data = (fits: (message: Received) => boolean): Received[] =>
    messages.filter((message) => !message.topic.includes('/status') && fits(message));
  return {
    client,
    messages,
    async until(count, fits = () => true, withinMs = 15_000) {
      const deadline = Date.now() + withinMs;
      while (data(fits).length < count) {
        if (Date.now() > deadline)
          throw new Error(`${data(fits).length} of ${count} messages after ${withinMs} ms`);
        await sleep(10);
      }
      return data(fits);
    },
  };
}

/** A client for the test itself; it ends with the test. */
export function redisClient(t: TestContext, port: number, db = 0): Redis {
  const client = new Redis({
    port,
    host: '127.0.0.1',
    db,
    retryStrategy: () => 50,
    maxRetriesPerRequest: null,
  });
  client.on('error', () => undefined);
  t.after(() => client.disconnect());
  return client;
}

export async function eventually<T>(
  read: () => Promise<T> | T,
  isTrue: (value: T) => boolean,
  withinMs = 15_000,
): Promise<T> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const value = await read();
    if (isTrue(value)) return value;
    if (Date.now() > deadline) throw new Error(`still ${JSON.stringify(value)} after ${withinMs} ms`);
    await sleep(20);
  }
}

/** Entries of the group that are delivered and not acknowledged. */
export async function pendingOf(redis: Redis, stream: string, group = 'mqtt-group'): Promise<number> {
  const [count] = (await redis.call('XPENDING', stream, group)) as [number];
  return count;
}

/** Entries that the group has still to acknowledge, delivered or not; -1 while there is no such group. */
export async function leftOf(redis: Redis, stream: string, group = 'mqtt-group'): Promise<number> {
  const groups = (await redis.call('XINFO', 'GROUPS', stream).catch(() => [])) as (
    string | number | null
  )[][];
  for (const fields of groups) {
    const value = (name: string): unknown => fields[fields.indexOf(name) + 1];
    if (value('name') !== group) continue;
    // A server may not know the lag, as after it has loaded its file.
    const lag =
      value('lag') === null
        ? (await redis.xrange(stream, `(${String(value('last-delivered-id'))}`, '+')).length
        : Number(value('lag'));
    return lag + Number(value('pending'));
  }
  return -1;
}

/** Waits until the group has acknowledged every entry of the stream. */
export function allDone(redis: Redis, stream: string): Promise<number> {
  return eventually(
    () => leftOf(redis, stream),
    (left) => left === 0,
  );
}
