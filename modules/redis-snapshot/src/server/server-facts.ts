import type { Reply, ServerLink } from './server-link.ts';

/** What INFO says, as numbers and texts by name; empty when the ACL hides it. */
export type ServerInfo = ReadonlyMap<string, string>;

export async function readInfo(link: ServerLink): Promise<ServerInfo> {
  try {
    return parseInfo(await link.call('asking for facts', ['INFO']));
  } catch (error) {
    if (isRefusal(error)) return new Map();
    throw error;
  }
}

function parseInfo(reply: Reply): ServerInfo {
  const fields = new Map<string, string>();
  for (const line of Buffer.isBuffer(reply) ? reply.toString('utf8').split(/\r?\n/) : []) {
    const colon = line.indexOf(':');
    if (colon > 0 && !line.startsWith('#')) fields.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return fields;
}

export function infoNumber(info: ServerInfo, name: string): number | undefined {
  const value = Number(info.get(name) ?? Number.NaN);
  return Number.isFinite(value) ? value : undefined;
}

/** An upper bound of what a snapshot takes: values in a file are never longer than in memory. */
export function snapshotBound(info: ServerInfo): number | undefined {
  return infoNumber(info, 'used_memory_dataset') ?? infoNumber(info, 'used_memory');
}

/** The server answered, but not what was asked for: it does not know or not permit the command. */
export function isRefusal(error: unknown): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    (error.code === 'REDIS_DENIED' || error.code === 'REDIS_ERROR')
  );
}

/** A reply in text; undefined when it is of another kind. */
export function textOf(reply: Reply | undefined): string | undefined {
  return Buffer.isBuffer(reply) ? reply.toString('utf8') : undefined;
}

/** Pairs of names and values, in one flat array. */
export function fieldsOf(reply: Reply): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  if (!Array.isArray(reply)) return fields;
  const items = reply as readonly Reply[];
  for (let at = 0; at + 1 < items.length; at += 2)
    fields.set(textOf(items[at]) ?? '', textOf(items[at + 1]) ?? '');
  return fields;
}
