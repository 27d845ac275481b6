import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createLog } from '@iotedge-redis/common';
import type { JsonObject, JsonValue, MethodReply } from '@iotedge-redis/common';
import { findProgram } from '../../local-edge/src/services/find-server.ts';
import { SnapshotOperations } from '../../modules/redis-snapshot/src/operations.ts';
import { fields } from '../../modules/redis-snapshot/src/settings.ts';
import type { SnapshotSettings } from '../../modules/redis-snapshot/src/settings.ts';
import type { TestAzurite } from './azurite.ts';
import type { ServerProgram } from './debian-suite.ts';
import { startRedis } from './redis.ts';
import type { TestRedis } from './redis.ts';

/** All settings at their defaults, and what the test gives. */
export function snapshotSettings(settings: Partial<SnapshotSettings>): SnapshotSettings {
  const defaults = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.default]));
  return { ...(defaults as SnapshotSettings), ...settings };
}

export interface SnapshotBed {
  readonly operations: SnapshotOperations;
  readonly settings: SnapshotSettings;
  /** Every reported property, oldest first. */
  readonly reports: readonly { readonly key: string; readonly value: JsonObject }[];
  readonly lines: readonly string[];
  call(method: string, payload?: JsonValue): Promise<MethodReply>;
  /** Calls a method that begins a run; its id. */
  begin(method: 'Export' | 'Copy' | 'Import', payload?: JsonValue): Promise<string>;
  /** The run as soon as it is in this state, or the predicate holds for it. */
  until(
    runId: string,
    wanted: string | ((run: JsonObject) => boolean),
    timeoutMs?: number,
  ): Promise<JsonObject>;
  /** Begins a run and waits for its end, which has to be a good one. Resolves with its result. */
  run(method: 'Export' | 'Copy' | 'Import', payload?: JsonValue): Promise<JsonObject>;
  applyLive(settings: Partial<SnapshotSettings>): void;
  stop(): Promise<void>;
}

export interface SnapshotBedOptions {
  readonly azurite: TestAzurite;
  readonly redis?: Pick<TestRedis, 'port'>;
  readonly instance?: string;
  /** Folder on the volume; none without. */
  readonly stateDir?: string;
  readonly settings?: Partial<SnapshotSettings>;
  /** Permissions of the SAS. */
  readonly permissions?: string;
}

/** The component of the module without a runner, against a real Azurite and a real Redis. */
export async function startSnapshot(t: TestContext, options: SnapshotBedOptions): Promise<SnapshotBed> {
  const { azurite, redis, instance = 'snapshot-test', stateDir, permissions = 'rwcdl' } = options;
  const settings = snapshotSettings({
    ...(redis === undefined ? {} : { endpoint: `127.0.0.1:${redis.port}` }),
    blobEndpoint: azurite.endpoint,
    blobContainerName: azurite.container,
    blobSasToken: azurite.sas({ permissions }),
    stallTimeoutMs: 2000,
    redisCommandTimeoutMs: 2000,
    ...options.settings,
  });
  const lines: string[] = [];
  const reports: { key: string; value: JsonObject }[] = [];
  const log = createLog({ level: 'debug', write: (line) => lines.push(line) });
  const context = {
    instance,
    stateDir,
    log,
    settingsVersion: () => 7,
    report: (key: string, value: JsonValue) => void reports.push({ key, value: value as JsonObject }),
  };
  const operations = new SnapshotOperations(settings, context, { maxPauseMs: 300 });
  const stop = (): Promise<void> => operations.stop(AbortSignal.timeout(3000));
  t.after(stop);
  const call = (name: string, payload: JsonValue = null): Promise<MethodReply> => {
    const handler = operations.methods[name];
    if (handler === undefined) throw new Error(`no method ${name}`);
    return handler({ name, payload, requestId: 'request-1' });
  };
  const begin: SnapshotBed['begin'] = async (method, payload = null) => {
    const { status, payload: answer } = await call(method, payload);
    const runId = (answer as JsonObject)['runId'];
    if (status !== 202 || typeof runId !== 'string')
      throw new Error(`${method}: ${status} ${JSON.stringify(answer)}`);
    return runId;
  };
  const until: SnapshotBed['until'] = async (runId, wanted, timeoutMs = 30_000) => {
    const holds = typeof wanted === 'string' ? (found: JsonObject) => found['state'] === wanted : wanted;
    for (const deadline = Date.now() + timeoutMs; ;) {
      const found = (await call('Operation', { runId })).payload as JsonObject;
      if (holds(found)) return found;
      if (Date.now() > deadline)
        throw new Error(`still ${JSON.stringify(found)}\n${lines.slice(-10).join('')}`);
      await sleep(5);
    }
  };
  await operations.start();
  return {
    operations,
    settings,
    reports,
    lines,
    call,
    begin,
    until,
    async run(method, payload) {
      const over = await until(await begin(method, payload), ({ state }) => isEnd(state), 120_000);
      if (over['state'] !== 'done') throw new Error(`${method} ended: ${JSON.stringify(over)}`);
      return over['result'] as JsonObject;
    },
    applyLive: (live) => operations.applyLive({ ...settings, ...live }),
    stop,
  };
}

function isEnd(state: JsonValue | undefined): boolean {
  return state === 'done' || state === 'failed' || state === 'cancelled';
}

/** A folder that goes with the test. */
export async function tempDir(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'snapshot-'));
  t.after(() => rm(dir, { recursive: true, force: true, maxRetries: 10 }));
  return dir;
}

/** A Redis of the caller's own that has loaded this RDB file; it does not start when the server refuses the file. */
export async function startRedisFrom(
  t: TestContext,
  rdb: Buffer,
  program?: ServerProgram,
): Promise<TestRedis> {
  const dir = await tempDir(t);
  await writeFile(join(dir, 'dump.rdb'), rdb);
  return startRedis(t, { dir, ...(program === undefined ? {} : { program }) });
}

/** Rejects with what the redis-check-rdb beside the server program says when it does not find the file good. */
export async function checkRdb(t: TestContext, rdb: Buffer, program?: ServerProgram): Promise<string> {
  const { command, args, env } = program ?? (await findProgram('redis'));
  const dir = await tempDir(t);
  const path = join(dir, 'check.rdb');
  await writeFile(path, rdb);
  // The server may be started by a loader.
  const [checker = '', ...rest] = [command, ...args].map((part) =>
    part.replace(/(redis|valkey)-server$/, '$1-check-rdb'),
  );
  const { stdout } = await promisify(execFile)(checker, [...rest, path], { env: { ...process.env, ...env } });
  return stdout;
}
