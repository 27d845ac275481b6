import { checkRedis, missingRedis, redisFieldNames } from '@iotedge-redis/common';
import type { ModuleDefinition } from '@iotedge-redis/common';
import { RedisItemClient } from './client.ts';
import type { Shared } from './client.ts';
import { fields } from './settings.ts';
import { Stats } from './stats.ts';

/** The module: what it is configured by, which methods it answers, and its one part. */
export const redisClient: ModuleDefinition<typeof fields> = {
  name: 'redis-client',
  version: '0.1.0',
  fields,
  check: checkRedis,
  methods: ['SetItem', 'GetItem', 'DeleteItem', 'SetItems', 'GetItems', 'Stats'],
  build(context) {
    const shared: Shared = { stats: new Stats(context.metrics) };
    return [
      {
        name: 'redis',
        uses: [...redisFieldNames, 'durability', 'allowedKeys', 'readOnly'],
        missing: missingRedis,
        create: (settings) => new RedisItemClient(settings, context, shared),
      },
    ];
  },
};
