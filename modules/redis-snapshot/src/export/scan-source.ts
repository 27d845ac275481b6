import { FingerprintSet, SuiteError, fingerprint } from '@iotedge-redis/common';
import { RdbWriter } from './rdb-writer.ts';
import { isRefusal, readInfo, textOf } from '../server/server-facts.ts';
import { ServerLink } from '../server/server-link.ts';
import type { LinkOptions, Reply } from '../server/server-link.ts';
import type { Transfer } from './sync-source.ts';

/** Keys asked for at once: as many values are held in memory together. */
const SCAN_COUNT = 256;
const BATCH_KEYS = 32;

/**
 * An RDB file made key by key, where the server does not permit SYNC: of no single point in time, since writes go on meanwhile.
 * Needs SCAN, DUMP, PTTL, SELECT, and INFO for the numbers of the databases; function libraries come along where FUNCTION DUMP
 * is permitted.
 */
export async function openScan(options: LinkOptions & { readonly db: number }): Promise<Transfer> {
  const link = await ServerLink.open(options);
  const pieces = scan(link, options.db);
  return {
    expectedBytes: undefined,
    framing: 'length',
    async read() {
      const next = await pieces.next();
      return next.done === true ? undefined : next.value;
    },
    close: () => link.close(),
  };
}

async function* scan(link: ServerLink, onlyDb: number): AsyncGenerator<readonly Buffer[]> {
  const writer = new RdbWriter();
  const functions = await functionDump(link);
  if (functions !== undefined) yield writer.functions(functions);
  const aheadMs = await clockAhead(link);
  for (const { db, keys } of await databases(link, onlyDb)) {
    await link.call('choosing a database', ['SELECT', String(db)]);
    yield* database(link, writer, { db, keys, aheadMs });
  }
  yield writer.end();
}

async function* database(
  link: ServerLink,
  writer: RdbWriter,
  { db, keys, aheadMs }: { db: number; keys: number; aheadMs: number },
): AsyncGenerator<readonly Buffer[]> {
  const capacity = 2 ** Math.ceil(Math.log2(keys * 4 + 65_536));
  // SCAN may name a key twice, and a file with a key twice is not loaded by a server.
  const seen = new FingerprintSet(capacity);
  let count = 0;
  let cursor = '0';
  do {
    const reply = await link.call('scanning', ['SCAN', cursor, 'COUNT', String(SCAN_COUNT)]);
    const [next, found] = Array.isArray(reply) ? (reply as readonly Reply[]) : [];
    cursor = textOf(next) ?? '0';
    const fresh = (Array.isArray(found) ? (found as readonly Reply[]) : [])
      .filter((key) => Buffer.isBuffer(key))
      .filter((key) => {
        const { high, low } = fingerprint(key);
        return seen.visit(high, low) !== 'again';
      });
    count += fresh.length;
    if (count > capacity / 2) {
      throw new SuiteError('CONFLICT', 'scanning: the number of keys grows too fast to scan them', {
        retryable: true,
      });
    }
    for (let at = 0; at < fresh.length; at += BATCH_KEYS)
      yield await entries(link, writer, { db, aheadMs, keys: fresh.slice(at, at + BATCH_KEYS) });
  } while (cursor !== '0');
}

async function entries(
  link: ServerLink,
  writer: RdbWriter,
  { db, keys, aheadMs }: { db: number; keys: readonly Buffer[]; aheadMs: number },
): Promise<readonly Buffer[]> {
  link.sendAll(
    keys.flatMap((key) => [
      ['PTTL', key],
      ['DUMP', key],
    ]),
  );
  const pieces: Buffer[] = [];
  for (const key of keys) {
    const left = await link.reply('scanning');
    const now = Date.now();
    const dump = await link.reply('scanning');
    // A key that has gone since SCAN named it is no part of the data any more.
    if (!Buffer.isBuffer(dump) || typeof left !== 'number') continue;
    pieces.push(...writer.entry(db, key, dump, left < 0 ? undefined : now + left + aheadMs));
  }
  return pieces;
}

/** How far the server's clock is ahead of ours, which its expiries are counted by. */
async function clockAhead(link: ServerLink): Promise<number> {
  try {
    const reply = await link.call('asking for the time', ['TIME']);
    const [seconds, micros] = Array.isArray(reply) ? (reply as readonly Reply[]).map(textOf) : [];
    const time = Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
    return Number.isFinite(time) ? time - Date.now() : 0;
  } catch (error) {
    if (isRefusal(error)) return 0;
    throw error;
  }
}

async function functionDump(link: ServerLink): Promise<Buffer | undefined> {
  try {
    const reply = await link.call('reading the functions', ['FUNCTION', 'DUMP']);
    return Buffer.isBuffer(reply) && reply.length > 10 ? reply : undefined;
  } catch (error) {
    if (isRefusal(error)) return undefined;
    throw error;
  }
}

/** Databases that hold keys, by INFO; the configured one where INFO is hidden. */
async function databases(link: ServerLink, onlyDb: number): Promise<readonly { db: number; keys: number }[]> {
  const info = await readInfo(link);
  if (info.size === 0) {
    await link.call('choosing a database', ['SELECT', String(onlyDb)]);
    const size = await link.call('counting the keys', ['DBSIZE']);
    return [{ db: onlyDb, keys: typeof size === 'number' ? size : 0 }];
  }
  return [...info].flatMap(([name, value]) => {
    const db = /^db(\d+)$/.exec(name)?.[1];
    return db === undefined ? [] : [{ db: Number(db), keys: Number(/keys=(\d+)/.exec(value)?.[1] ?? 0) }];
  });
}
