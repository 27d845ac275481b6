import { SuiteError } from '@iotedge-redis/common';

/** An entry as Redis sent it; `pairs` is undefined when it was removed from the stream while it was pending. */
export interface Entry {
  readonly id: string;
  readonly pairs: readonly Buffer[] | undefined;
  /** Told by XREADGROUP CLAIM only: 0 for an entry that was never delivered before. */
  readonly deliveries?: number;
}

/** The entries of one stream; `key` is its name as bytes. */
export interface StreamEntries {
  readonly key: Buffer;
  readonly entries: readonly Entry[];
}

/** Reads the answer of XREADGROUP; null means that the wait is over and nothing came. */
export function readStreams(reply: unknown): readonly StreamEntries[] {
  if (reply === null) return [];
  return listOf(reply).map((item) => {
    const [key, entries] = listOf(item);
    return { key: bytesOf(key), entries: readEntries(entries) };
  });
}

export function readEntries(reply: unknown): readonly Entry[] {
  const items = listOf(reply);
  const entries: Entry[] = new Array<Entry>(items.length);
  for (let at = 0; at < items.length; at += 1) {
    const item = items[at];
    if (!Array.isArray(item)) throw unexpected();
    const pairs: unknown = item[1];
    const deliveries: unknown = item[3];
    entries[at] = {
      id: textFrom(item[0]),
      pairs: pairs === null ? undefined : (listOf(pairs) as readonly Buffer[]),
      ...(typeof deliveries === 'number' ? { deliveries } : {}),
    };
  }
  return entries;
}

export interface Claimed {
  readonly cursor: string;
  readonly entries: readonly Entry[];
  /** Pending entries that are no longer in the stream; Redis has taken them out of the group. */
  readonly deleted: readonly string[];
}

/** Reads the answer of XAUTOCLAIM, with or without JUSTID. */
export function readClaimed(reply: unknown): Claimed {
  const [cursor, entries, deleted] = listOf(reply);
  const items = listOf(entries);
  const isIds = items.every((item) => !Array.isArray(item));
  return {
    cursor: textFrom(cursor),
    entries: isIds ? items.map((item) => ({ id: textFrom(item), pairs: undefined })) : readEntries(items),
    // Redis 6.2 has no third element.
    deleted: deleted === undefined ? [] : listOf(deleted).map(textFrom),
  };
}

/** A flat list of names and values, as XINFO answers, by name. */
export function readFields(reply: unknown): ReadonlyMap<string, unknown> {
  const items = listOf(reply);
  const fields = new Map<string, unknown>();
  for (let at = 0; at + 1 < items.length; at += 2) fields.set(textFrom(items[at]), items[at + 1]);
  return fields;
}

export function listOf(reply: unknown): readonly unknown[] {
  if (!Array.isArray(reply)) throw unexpected();
  return reply;
}

export function textFrom(value: unknown): string {
  if (typeof value === 'string') return value;
  return bytesOf(value).toString('latin1');
}

export function bytesOf(value: unknown): Buffer {
  if (!Buffer.isBuffer(value)) throw unexpected();
  return value;
}

export function numberFrom(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  return value === null || value === undefined ? undefined : Number(textFrom(value));
}

function unexpected(): SuiteError {
  return new SuiteError(
    'REDIS_ERROR',
    'reading an answer of Redis: it has another form than the command promises',
  );
}
