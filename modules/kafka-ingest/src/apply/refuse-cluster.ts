import type { RedisConnection } from '@iotedge-redis/common';
import { SuiteError } from '@iotedge-redis/common';

/** A cluster that was not declared as one would take a part of each step. */
export async function refuseCluster(redis: RedisConnection): Promise<void> {
  const info = await redis
    .run('asking whether Redis is a cluster', (client) => client.info('cluster'))
    .catch((error: unknown) => {
      if (error instanceof SuiteError && error.retryable) throw error;
      return '';
    });
  if (/^cluster_enabled:1/m.test(info))
    throw new SuiteError(
      'CONFIG_INVALID',
      `connecting to ${redis.place}: this Redis is a cluster, where one step cannot reach all keys; kafka-ingest needs a standalone Redis or Sentinel`,
    );
}
