import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { RedisConnection } from '@iotedge-redis/common';
import { SuiteError, errorText } from '@iotedge-redis/common';
import type { Run } from './run.ts';
import { readRuns, writeRuns } from './run.ts';

/** Keeps the runs over a restart of the module. */
export interface RunStore {
  load(): Promise<readonly Run[]>;
  save(runs: readonly Run[]): Promise<void>;
}

/** Keys of the module in Redis begin with this. They belong to the site, not to its data: an import spares them. */
export function ownPrefix(instance: string): string {
  return `iotedge-redis:redis-snapshot:${instance}:`;
}

/** A file on the volume, replaced as a whole. */
export function createFileRunStore(folder: string, instance: string): RunStore {
  const path = join(folder, `runs-${instance.replace(/[^\w.-]/g, '_')}.json`);
  return {
    async load() {
      try {
        return readRuns(await readFile(path, 'utf8')) ?? [];
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
        throw unusable(path, error);
      }
    },
    async save(runs) {
      const draft = `${path}.new`;
      try {
        await mkdir(dirname(path), { recursive: true, mode: 0o700 });
        const file = await open(draft, 'w', 0o600);
        try {
          await file.writeFile(writeRuns(runs));
          await file.sync();
        } finally {
          await file.close();
        }
        await rename(draft, path);
      } catch (error) {
        throw unusable(path, error);
      }
    },
  };
}

function unusable(path: string, error: unknown): SuiteError {
  return new SuiteError(
    'INTERNAL',
    `keeping the runs in STATE_DIR: ${errorText(error)} (${path}); check that the volume is mounted, writable and not full`,
    { cause: error, retryable: true },
  );
}

/** Beside the data, where there is no volume. */
export function createRedisRunStore(connection: RedisConnection, instance: string): RunStore {
  const key = `${ownPrefix(instance)}runs`;
  return {
    async load() {
      const text = await connection.run('reading the runs', (client) => client.get(key));
      return text === null ? [] : (readRuns(text) ?? []);
    },
    async save(runs) {
      await connection.run('keeping the runs', (client) => client.set(key, writeRuns(runs)));
    },
  };
}
