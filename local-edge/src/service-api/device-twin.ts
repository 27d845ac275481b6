import { join } from 'node:path';

import type { JsonObject, Twin, TwinResult } from '../hub/hub-api.ts';
import { TwinStore } from '../hub/twin-store.ts';

interface Change {
  readonly desired?: JsonObject;
  readonly tags?: JsonObject;
}

/** The twin of the device itself: nothing on the device reads it, but deployments find their target by its tags. */
export interface DeviceTwin {
  get(): Twin;
  patchDesired(change: Change): TwinResult;
  replaceDesired(change: Change): TwinResult;
}

/** It obeys the rules of module twins, in a file of its own. */
export function openDeviceTwin(stateDir: string, deviceId: string, now: () => number): DeviceTwin {
  const store = new TwinStore(join(stateDir, 'device-twin.json'), now);
  store.create(deviceId);
  const get = (): Twin => {
    const twin = store.get(deviceId);
    if (twin === undefined) throw new Error(`the twin of ${deviceId} is gone`);
    return twin;
  };
  return {
    get,
    patchDesired: (change) => store.patchDesired(deviceId, change),
    replaceDesired: (change) => store.replaceDesired(deviceId, change),
  };
}
