import { EdgeError } from '../errors.ts';
import type { FaultSwitches, JsonObject } from '../hub/hub-api.ts';

/** Names of the faults that are on or off; `connack` besides takes a return code. */
export const SWITCHES = [
  'refuse',
  'stall',
  'noPuback',
  'noTwinReply',
  'signFails',
  'trustBundleFails',
] as const;
/** The return codes of MQTT 3.1.1 that refuse a connection. */
const REFUSALS: readonly unknown[] = [1, 2, 3, 4, 5];

export function faultsOf(faults: FaultSwitches): JsonObject {
  return {
    connack: faults.connack,
    ...Object.fromEntries(SWITCHES.map((name) => [name, faults[name]])),
  };
}

function isSwitch(name: string): name is (typeof SWITCHES)[number] {
  return (SWITCHES as readonly string[]).includes(name);
}

/** Sets the given switches and leaves the others; all are checked before the first is set. */
export function changeFaults(faults: FaultSwitches, change: JsonObject): void {
  for (const [name, value] of Object.entries(change)) {
    if (name === 'connack') {
      if (value === null || REFUSALS.includes(value)) continue;
      throw new EdgeError('INVALID_INPUT', 'connack must be a return code from 1 to 5, or off');
    }
    if (!isSwitch(name)) {
      throw new EdgeError(
        'INVALID_INPUT',
        `there is no fault ${name}; there are connack, ${SWITCHES.join(', ')}`,
      );
    }
    if (typeof value !== 'boolean') throw new EdgeError('INVALID_INPUT', `${name} must be on or off`);
  }
  for (const [name, value] of Object.entries(change)) {
    if (isSwitch(name)) faults[name] = value === true;
    else faults.connack = typeof value === 'number' ? value : null;
  }
}
