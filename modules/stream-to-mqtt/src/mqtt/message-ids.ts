import type { IClientOptions } from 'mqtt';

/** Packet identifiers up to this one are the bridge's, those above it the library's (status, control, QoS 2). */
export const LAST_OWN_ID = 60_000;
const LAST_ID = 65_535;

/** Goes round in the library's part; so few are in flight there that none is met again while it is in use. */
export function createLibraryIds(): NonNullable<IClientOptions['messageIdProvider']> {
  let last = LAST_ID;
  return {
    allocate() {
      last = last >= LAST_ID ? LAST_OWN_ID + 1 : last + 1;
      return last;
    },
    getLastAllocated: () => last,
    register: () => true,
    deallocate: () => undefined,
    clear: () => undefined,
  };
}
