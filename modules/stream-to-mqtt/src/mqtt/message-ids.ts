import type { IClientOptions } from 'mqtt';

/** Packet identifiers up to this one are the bridge's, those above it the library's (status, control, QoS 2). */
export const LAST_OWN_ID = 60_000;
const LAST_ID = 65_535;

/** Most that the library may have in flight: half of its part, so that a free one is always near. */
export const LIBRARY_WINDOW = Math.floor((LAST_ID - LAST_OWN_ID) / 2);

/** Goes round in the library's part, past what is in use: one message without an answer may outlast thousands of others. */
export function createLibraryIds(): NonNullable<IClientOptions['messageIdProvider']> {
  const used = new Set<number>();
  let last = LAST_ID;
  return {
    allocate() {
      if (used.size >= LAST_ID - LAST_OWN_ID) return null;
      do last = last >= LAST_ID ? LAST_OWN_ID + 1 : last + 1;
      while (used.has(last));
      used.add(last);
      return last;
    },
    getLastAllocated: () => last,
    register: (id) => !used.has(id) && used.add(id).has(id),
    deallocate: (id) => void used.delete(id),
    clear: () => used.clear(),
  };
}
