import { checkRedis, missingRedis, redisFieldNames } from '@iotedge-redis/common';
import type { ModuleDefinition } from '@iotedge-redis/common';
import { fields, missingBlob } from './settings.ts';
import type { SyncSettings } from './settings.ts';
import { createSyncMetrics } from './sync-metrics.ts';
import { BlobSync } from './sync.ts';

/** How long the command waits for a storage account or a Redis that is away. */
const COMMAND_GIVES_UP_MS = 120_000;

const own = Object.keys(fields) as (keyof SyncSettings)[];

/** The module: what it is configured by, which methods it answers, its one part and its command. */
export const redisSync: ModuleDefinition<typeof fields> = {
  name: 'redis-sync',
  version: '0.1.0',
  fields,
  check: checkRedis,
  methods: ['Sync', 'SyncStatus', 'CancelSync'],
  build(context) {
    const metrics = createSyncMetrics(context.metrics);
    return [
      {
        name: 'sync',
        uses: [...new Set([...redisFieldNames, ...own])],
        // Two imports at once would overwrite each other's rows: the old one ends before the new one begins.
        exclusive: true,
        missing: (settings) => missingRedis(settings) ?? missingBlob(settings),
        create: (settings) => new BlobSync(settings, context, { metrics }),
      },
    ];
  },
  commands: {
    async sync(context, settings, signal) {
      const missing = missingRedis(settings) ?? missingBlob(settings);
      if (missing !== undefined) return { exitCode: 1, result: { state: 'failed', message: missing } };
      const sync = new BlobSync(settings, context, { giveUpAfterMs: COMMAND_GIVES_UP_MS });
      const { isDone, result } = await sync.once('resume', signal);
      return { exitCode: isDone ? 0 : 1, result };
    },
  },
};
