import type { RedisTarget } from '@iotedge-redis/common';
import { redisTarget } from '@iotedge-redis/common';
import type { BlobPlace } from '@iotedge-redis/common/blob';
import { identityOf } from './checkpoint.ts';
import type { SyncSettings } from '../settings.ts';

/** What is read from where, and where it goes. */
export interface RunPlan {
  readonly place: BlobPlace;
  readonly target: RedisTarget;
  /** Names the file, whatever its version. */
  readonly file: string;
  /** Names the run that brings this version of the file into this Redis in this way. */
  run(etag: string): string;
}

export function planRun(settings: SyncSettings): RunPlan {
  const target = redisTarget(settings);
  const place: BlobPlace = {
    endpoint:
      settings.blobEndpoint ??
      `https://${settings.storageAccountName ?? ''}.blob.core.windows.net`.toLowerCase(),
    container: settings.blobContainerName ?? '',
    blob: settings.blobFileName ?? '',
  };
  const source = { endpoint: place.endpoint, container: place.container, blob: place.blob };
  const redis = {
    mode: target.mode,
    place: target.mode === 'sentinel' ? target.sentinelMaster : `${target.place.host}:${target.place.port}`,
    db: target.db,
  };
  return {
    place,
    target,
    file: identityOf(source),
    run: (etag) =>
      // What only changes how fast or how long it takes is left out, and so is the SAS.
      identityOf({
        ...source,
        redis,
        etag,
        csvDelimiter: settings.csvDelimiter,
        csvHeader: settings.csvHeader,
        valueType: settings.valueType,
        ttlSeconds: settings.ttlSeconds,
        mode: settings.mode,
        maxDeletePercent: settings.mode === 'mirror' ? settings.maxDeletePercent : null,
        errorMode: settings.errorMode,
        maxErrorRate: settings.maxErrorRate,
        maxRecordBytes: settings.maxRecordBytes,
        syncToken: settings.syncToken ?? null,
      }),
  };
}
