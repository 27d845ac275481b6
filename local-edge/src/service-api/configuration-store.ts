import { join } from 'node:path';

import type { JsonObject } from '../hub/hub-api.ts';
import { readStateFile, writeStateFile } from '../state-file.ts';

/** An at-scale deployment as it is kept; `etagNumber` counts its changes. */
export interface StoredConfiguration {
  readonly id: string;
  readonly schemaVersion: string;
  readonly labels: JsonObject;
  readonly content: JsonObject;
  readonly targetCondition: string;
  readonly priority: number;
  readonly metrics: JsonObject;
  readonly createdTimeUtc: string;
  readonly lastUpdatedTimeUtc: string;
  readonly etagNumber: number;
}

export interface StoredConfigurations {
  readonly configurations: readonly StoredConfiguration[];
  /** The configuration that was applied last; null after a deployment to the device itself. */
  readonly applied: string | null;
}

export interface ConfigurationStore {
  get(): StoredConfigurations;
  /** Durable when it returns. */
  set(change: Partial<StoredConfigurations>): void;
}

export function openConfigurationStore(stateDir: string): ConfigurationStore {
  const file = join(stateDir, 'configurations.json');
  let data = (readStateFile(file) as StoredConfigurations | undefined) ?? {
    configurations: [],
    applied: null,
  };
  return {
    get: () => data,
    set: (change) => {
      data = { ...data, ...change };
      writeStateFile(file, data);
    },
  };
}
