import { RedisConnection } from '@iotedge-redis/common';
import type { Clock, Log } from '@iotedge-redis/common';
import { BlobSource } from '@iotedge-redis/common/blob';
import type { Patience } from '@iotedge-redis/common/blob';
import { syncKeys } from './checkpoint.ts';
import { ImportRun } from './import-run.ts';
import type { RunProgress } from './import-run.ts';
import { Mirror } from './mirror.ts';
import { RedisMemory } from './redis-memory.ts';
import { RedisSink } from './redis-sink.ts';
import { planRun } from './run-plan.ts';
import type { RunPlan } from './run-plan.ts';
import type { SyncSettings } from '../settings.ts';

export interface ImportPartsOptions {
  readonly instance: string;
  /** The newest ones; what the run's identity is made of stays as it was at first. */
  readonly settings: () => SyncSettings;
  readonly clock: Clock;
  readonly log: Log;
}

export interface RunOptions {
  readonly patience: Patience;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: RunProgress) => void;
}

/** What one import after the other is made of: the plan, both ends, and where it stands. */
export interface ImportParts {
  readonly plan: RunPlan;
  readonly connection: RedisConnection;
  readonly source: BlobSource;
  readonly sink: RedisSink;
  createRun(options: RunOptions): ImportRun;
}

export function createImportParts({ instance, settings, clock, log }: ImportPartsOptions): ImportParts {
  const plan = planRun(settings());
  const { target, place } = plan;
  const isCluster = target.mode === 'cluster';
  const keys = syncKeys(instance, plan.file);
  const connection = new RedisConnection({ target, name: instance, log });
  const source = new BlobSource({
    place,
    sas: () => settings().blobSasToken ?? '',
    stallTimeoutMs: settings().stallTimeoutMs,
    clock,
  });
  const sink = new RedisSink(connection, keys.checkpoint, isCluster, target.commandTimeoutMs);
  const mirror = new Mirror({ connection, keys, unlink: (gone) => sink.unlink(gone) });
  const createRun = (options: RunOptions): ImportRun => {
    const memory = new RedisMemory(connection, clock, isCluster);
    return new ImportRun({ ...options, settings, plan, keys, source, sink, mirror, memory, clock, log });
  };
  return { plan, connection, source, sink, createRun };
}
