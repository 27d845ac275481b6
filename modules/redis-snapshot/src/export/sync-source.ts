import { SuiteError, classifyRedisError, sleep } from '@iotedge-redis/common';
import type { Log, RedisPlace } from '@iotedge-redis/common';
import { fieldsOf, isRefusal } from '../server/server-facts.ts';
import { ServerLink } from '../server/server-link.ts';
import type { LinkTarget } from '../server/server-link.ts';
import { TransferFraming } from './transfer-framing.ts';

export interface SyncOptions {
  readonly place: RedisPlace;
  readonly target: LinkTarget;
  /** Sets the server's delay before a diskless transfer to 0 for the moment of the beginning, where it permits that. */
  readonly skipDelay: boolean;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** An RDB file on its way from a server. */
export interface Transfer {
  /** Bytes of the whole file, where the server says so in front. */
  readonly expectedBytes: number | undefined;
  readonly framing: 'length' | 'mark';
  /** The next pieces; undefined behind the last one. Throws, retryable, when the transfer breaks. */
  read(): Promise<readonly Buffer[] | undefined>;
  close(): void;
}

const DECIDED_MS = 1000;
/** The server sends its file in pieces of 16 KiB. */
const EVERY_MS = 5;
const ignore = (): void => undefined;

/** Asks for the file as a replica does that wants nothing but the file. */
export async function openSync(options: SyncOptions): Promise<Transfer> {
  const { signal } = options;
  const link = await ServerLink.open(options);
  try {
    await offer(link, ['REPLCONF', 'capa', 'eof']);
    // Without it (before Redis 7) the server keeps the writes since then for a replica that never takes them.
    await offer(link, ['REPLCONF', 'rdb-only', '1']);
    const restore = options.skipDelay ? await skipDelay(options) : undefined;
    link.send(['SYNC']);
    const transfer = begin(link, signal);
    // With the first word of the server, or a moment later when it is busy, the delay is decided.
    const settled = transfer.then(ignore, ignore);
    if (restore !== undefined) await Promise.race([settled, sleep(DECIDED_MS, signal).catch(ignore)]);
    await restore?.();
    return await transfer;
  } catch (error) {
    link.close();
    throw error;
  }
}

async function offer(link: ServerLink, command: readonly string[]): Promise<void> {
  try {
    await link.call('beginning the replication', command);
  } catch (error) {
    const isForbidden = error instanceof SuiteError && error.code === 'REDIS_DENIED';
    if (isForbidden || !isRefusal(error)) throw error;
  }
}

async function begin(link: ServerLink, signal: AbortSignal): Promise<Transfer> {
  const framing = new TransferFraming();
  const doing = `receiving the snapshot from ${link.name}`;
  const pull = async (): Promise<readonly Buffer[]> => {
    const chunk = await link.read(framing.framing === undefined ? {} : { everyMs: EVERY_MS });
    if (signal.aborted) throw new SuiteError('STOPPED', `${doing}: stopped`);
    if (chunk === undefined) throw broken(doing);
    try {
      return framing.push(chunk);
    } catch (error) {
      throw classifyRedisError(error, doing);
    }
  };
  let first: readonly Buffer[] = [];
  while (framing.framing === undefined) first = await pull();
  const { framing: found } = framing;
  let next: readonly Buffer[] | undefined = first;
  return {
    expectedBytes: found.kind === 'length' ? found.bytes : undefined,
    framing: found.kind,
    async read() {
      const pieces = next ?? (framing.isDone ? undefined : await pull());
      next = undefined;
      return pieces;
    },
    close: () => link.close(),
  };
}

function broken(doing: string): SuiteError {
  return new SuiteError(
    'REDIS_UNAVAILABLE',
    `${doing}: the server closed the connection before the end of the file; it restarted, failed over, or gave up on a slow reader`,
    { retryable: true },
  );
}

const DELAY = 'repl-diskless-sync-delay';

/** Resolves with what puts the server's own delay back; undefined when there is nothing to change or no permission. */
async function skipDelay(options: SyncOptions): Promise<(() => Promise<void>) | undefined> {
  const link = await ServerLink.open(options);
  const doing = `changing ${DELAY}`;
  try {
    const fields = fieldsOf(await link.call(doing, ['CONFIG', 'GET', DELAY]));
    const delay = fields.get(DELAY);
    if (delay === undefined || delay === '0') {
      link.close();
      return undefined;
    }
    await link.call(doing, ['CONFIG', 'SET', DELAY, '0']);
    return async () => {
      try {
        await link.call(doing, ['CONFIG', 'SET', DELAY, delay]);
      } catch {
        options.log.warn(`${DELAY} of the server could not be put back; set it again`, { seconds: delay });
      } finally {
        link.close();
      }
    };
  } catch (error) {
    link.close();
    if (isRefusal(error)) return undefined;
    throw error;
  }
}
