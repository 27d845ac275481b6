import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Redis } from 'ioredis';
import { onEnd } from './cleanup.ts';

interface RedisLogin {
  readonly port: number;
  readonly username: string;
  readonly password: string;
}

/** How a test reaches the Redis of a local edge beside all modules: as the user that the start command makes for people. */
export function operatorLogin(stateDir: string): RedisLogin {
  const file = join(stateDir, 'run', 'redis', 'tmpfs', '_run', 'operator');
  const table = JSON.parse(readFileSync(join(stateDir, 'net.json'), 'utf8')) as Record<string, number>;
  return {
    port: table['redis:6379'] ?? 0,
    username: 'operator',
    // It is made anew while Redis starts.
    password: existsSync(file) ? readFileSync(file, 'utf8') : '',
  };
}

/** A client of the Redis of a local edge that may do everything. */
export function operatorClient(t: TestContext, stateDir: string): Redis {
  const redis = new Redis({ host: '127.0.0.1', maxRetriesPerRequest: null, ...operatorLogin(stateDir) });
  redis.on('error', () => undefined);
  onEnd(t, () => redis.disconnect());
  return redis;
}
