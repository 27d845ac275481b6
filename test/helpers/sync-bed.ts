import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLog } from '@iotedge-redis/common';
import type { JsonObject, JsonValue, MethodReply } from '@iotedge-redis/common';
import { fields } from '../../modules/redis-sync/src/settings.ts';
import type { SyncSettings } from '../../modules/redis-sync/src/settings.ts';
import { BlobSync } from '../../modules/redis-sync/src/sync.ts';
import { CONTAINER } from './azurite.ts';
import type { TestAzurite } from './azurite.ts';
import type { TestRedis } from './redis.ts';

/** All settings at their defaults, and what the test gives. */
export function syncSettings(settings: Partial<SyncSettings>): SyncSettings {
  const defaults = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.default]));
  return { ...(defaults as SyncSettings), ...settings };
}

export interface SyncBed {
  readonly sync: BlobSync;
  readonly settings: SyncSettings;
  /** Every reported property `sync`, oldest first. */
  readonly reports: readonly JsonObject[];
  readonly lines: readonly string[];
  call(method: string, payload?: JsonValue): Promise<MethodReply>;
  status(): Promise<JsonObject>;
  /** The status as soon as it is in this state, or one for which the predicate holds. */
  until(wanted: string | ((status: JsonObject) => boolean), timeoutMs?: number): Promise<JsonObject>;
  applyLive(settings: Partial<SyncSettings>): void;
  stop(): Promise<void>;
}

export interface BedOptions {
  readonly azurite: TestAzurite;
  readonly redis: Pick<TestRedis, 'port'>;
  readonly blob?: string;
  readonly instance?: string;
  readonly settings?: Partial<SyncSettings>;
}

/** The component of the module without a runner, against a real Azurite and a real Redis. */
export async function startSync(t: TestContext, options: BedOptions): Promise<SyncBed> {
  const { azurite, redis, blob = 'update.csv', instance = 'sync-test' } = options;
  const settings = syncSettings({
    endpoint: `127.0.0.1:${redis.port}`,
    blobEndpoint: azurite.endpoint,
    blobContainerName: CONTAINER,
    blobFileName: blob,
    blobSasToken: azurite.sas(),
    stallTimeoutMs: 2000,
    redisCommandTimeoutMs: 1000,
    ...options.settings,
  });
  const lines: string[] = [];
  const reports: JsonObject[] = [];
  const log = createLog({ level: 'debug', write: (line) => lines.push(line) });
  const context = {
    instance,
    log,
    settingsVersion: () => 7,
    report: (_key: string, value: JsonValue) => void reports.push(value as JsonObject),
  };
  const sync = new BlobSync(settings, context, { maxPauseMs: 300 });
  const stop = (): Promise<void> => sync.stop(AbortSignal.timeout(3000));
  t.after(stop);
  const call = (name: string, payload: JsonValue = null): Promise<MethodReply> => {
    const handler = sync.methods[name];
    if (handler === undefined) throw new Error(`no method ${name}`);
    return handler({ name, payload, requestId: 'request-1' });
  };
  const status = async (): Promise<JsonObject> => (await call('SyncStatus')).payload as JsonObject;
  await sync.start();
  return {
    sync,
    settings,
    reports,
    lines,
    call,
    status,
    async until(wanted, timeoutMs = 20_000) {
      const holds = typeof wanted === 'string' ? (found: JsonObject) => found['state'] === wanted : wanted;
      for (const deadline = Date.now() + timeoutMs; ;) {
        await sleep(5);
        const found = await status();
        if (holds(found)) return found;
        if (Date.now() > deadline)
          throw new Error(`still ${JSON.stringify(found)}\n${lines.slice(-10).join('')}`);
      }
    },
    applyLive: (live) => sync.applyLive({ ...settings, ...live }),
    stop,
  };
}
