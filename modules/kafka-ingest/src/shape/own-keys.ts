/** What cannot be stored waits here. */
export const DEAD_LETTERS = 'dlq:kafka-ingest';

const SUITE = 'iotedge-redis:';
const CHANGES = /^changes:[a-zA-Z0-9._-]{1,249}:\d+$/;

/**
 * Whether a key is one of those that this suite keeps for itself: a record that may write or delete them could move the positions,
 * or take dead letters away.
 */
export function isOwnKey(key: string): boolean {
  return key.startsWith(SUITE) || key === DEAD_LETTERS || (key.startsWith('changes:') && CHANGES.test(key));
}
