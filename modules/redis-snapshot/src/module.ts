import { missingRedis, redisFieldNames } from '@iotedge-redis/common';
import type { ModuleContext, ModuleDefinition } from '@iotedge-redis/common';
import { SnapshotOperations } from './operations.ts';
import type { Kind } from './run.ts';
import { checkSettings, fields, missingContainer } from './settings.ts';
import type { SnapshotSettings } from './settings.ts';

/** How long a command waits for a storage account or a Redis that is away. */
const COMMAND_GIVES_UP_MS = 120_000;

const own = Object.keys(fields) as (keyof SnapshotSettings)[];

/** The module: what it is configured by, which methods it answers, its one part and its commands. */
export const redisSnapshot: ModuleDefinition<typeof fields> = {
  name: 'redis-snapshot',
  version: '0.1.0',
  fields,
  check: checkSettings,
  methods: ['Export', 'Copy', 'Import', 'ListSnapshots', 'Operation', 'CancelOperation'],
  build: (context) => [
    {
      name: 'snapshot',
      uses: [...new Set([...redisFieldNames, ...own])],
      // Two at once would hold the same runs.
      exclusive: true,
      missing,
      create: (settings) => new SnapshotOperations(settings, context),
    },
  ],
  commands: { export: command('export'), copy: command('copy'), import: command('import') },
};

function missing(settings: SnapshotSettings): string | undefined {
  return missingRedis(settings) ?? missingContainer(settings);
}

function command(kind: Kind) {
  return async (context: ModuleContext, settings: SnapshotSettings, signal: AbortSignal) => {
    const why = missing(settings);
    if (why !== undefined) return { exitCode: 1, result: { state: 'failed', message: why } };
    const operations = new SnapshotOperations(settings, context, { giveUpAfterMs: COMMAND_GIVES_UP_MS });
    const { isDone, result } = await operations.once(kind, {}, signal);
    return { exitCode: isDone ? 0 : 1, result };
  };
}
