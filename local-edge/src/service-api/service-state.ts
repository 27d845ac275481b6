import { readFileSync, renameSync, writeFileSync } from 'node:fs';

import { EdgeError } from '../errors.ts';
import type { JsonObject } from '../hub/hub-api.ts';
import type { DeviceTwinState } from './device-twin.ts';
import { newDeviceTwin } from './device-twin.ts';

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

/** What the service side keeps besides identities and module twins. */
export interface ServiceData {
  readonly deviceTwin: DeviceTwinState;
  readonly configurations: readonly StoredConfiguration[];
  /** The configuration that was applied last, as `id@etag`; null after a deployment to the device itself. */
  readonly applied: string | null;
}

export interface ServiceState {
  get(): ServiceData;
  /** Durable when it returns. */
  set(change: Partial<ServiceData>): void;
}

function read(file: string): ServiceData | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return JSON.parse(text) as ServiceData;
  } catch (error) {
    throw new EdgeError('STATE_INVALID', `${file} is not JSON; delete it to start without configurations`, {
      cause: error,
    });
  }
}

/** Keeps the state in a file, or only in memory when there is none. */
export function openServiceState(file: string | undefined): ServiceState {
  let data = (file === undefined ? undefined : read(file)) ?? {
    deviceTwin: newDeviceTwin(new Date()),
    configurations: [],
    applied: null,
  };
  return {
    get: () => data,
    set: (change) => {
      const next = { ...data, ...change };
      if (file !== undefined) {
        writeFileSync(`${file}.new`, `${JSON.stringify(next, null, 2)}\n`, { mode: 0o600 });
        renameSync(`${file}.new`, file);
      }
      data = next;
    },
  };
}
