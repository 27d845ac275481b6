import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLog, createMetrics } from '@iotedge-redis/common';
import type { ComponentHealth, JsonObject, JsonValue, MethodReply } from '@iotedge-redis/common';
import { RedisItemClient } from '../../modules/redis-client/src/client.ts';
import { fields } from '../../modules/redis-client/src/settings.ts';
import type { ClientSettings } from '../../modules/redis-client/src/settings.ts';
import { Stats } from '../../modules/redis-client/src/stats.ts';

export interface ItemClient {
  call(method: string, payload: JsonValue): Promise<MethodReply>;
  /** The reply's payload, whatever its status. */
  payload(method: string, payload: JsonValue): Promise<JsonObject>;
  /** Milliseconds until the method answers with this status; fails after 10 s. */
  until(status: number, method: string, payload: JsonValue): Promise<number>;
  health(): ComponentHealth;
  start(): Promise<void>;
  stop(): Promise<void>;
  applyLive(settings: Partial<ClientSettings>): void;
  /** Everything it logged, at debug. */
  readonly lines: readonly string[];
  /** Everything it reported, oldest first. */
  readonly reports: readonly JsonValue[];
}

const defaults: ClientSettings = {
  endpoint: fields.endpoint.default,
  redisMode: fields.redisMode.default,
  redisHost: fields.redisHost.default,
  redisPort: fields.redisPort.default,
  redisDb: fields.redisDb.default,
  redisUsername: fields.redisUsername.default,
  redisPassword: fields.redisPassword.default,
  redisTls: fields.redisTls.default,
  redisCaFile: fields.redisCaFile.default,
  redisCertFile: fields.redisCertFile.default,
  redisKeyFile: fields.redisKeyFile.default,
  redisTlsServerName: fields.redisTlsServerName.default,
  redisSentinels: fields.redisSentinels.default,
  redisSentinelMaster: fields.redisSentinelMaster.default,
  redisSentinelPassword: fields.redisSentinelPassword.default,
  redisCommandTimeoutMs: fields.redisCommandTimeoutMs.default,
  redisConnectTimeoutMs: fields.redisConnectTimeoutMs.default,
  durability: fields.durability.default,
  allowedKeys: fields.allowedKeys.default,
  readOnly: fields.readOnly.default,
};

/** The component that answers the direct methods, without a runner; it stops with the test. */
export function createItemClient(t: TestContext, settings: Partial<ClientSettings>): ItemClient {
  const lines: string[] = [];
  const log = createLog({ level: 'debug', write: (line) => lines.push(line) });
  const stats = new Stats(createMetrics({ prefix: 'test' }));
  const reports: JsonValue[] = [];
  const report = (key: string, value: JsonValue): void => void reports.push({ [key]: value });
  const component = new RedisItemClient(
    { ...defaults, ...settings },
    { instance: 'test client', log, report },
    { stats },
  );
  t.after(() => component.stop(AbortSignal.timeout(1000)));
  const call = async (name: string, payload: JsonValue): Promise<MethodReply> => {
    const handler = component.methods[name];
    if (handler === undefined) throw new Error(`no method ${name}`);
    return handler({ name, payload, requestId: 'request-1' });
  };
  return {
    call,
    payload: async (method, payload) => (await call(method, payload)).payload as JsonObject,
    async until(status, method, payload) {
      const begin = performance.now();
      for (;;) {
        const reply = await call(method, payload);
        const elapsed = performance.now() - begin;
        if (reply.status === status) return elapsed;
        if (elapsed > 10_000) throw new Error(`still ${JSON.stringify(reply)} after 10 s`);
        await sleep(10);
      }
    },
    health: () => component.health(),
    start: () => component.start(AbortSignal.timeout(10_000)),
    stop: () => component.stop(AbortSignal.timeout(1000)),
    applyLive: (live) => component.applyLive({ ...defaults, ...settings, ...live }),
    lines,
    reports,
  };
}
