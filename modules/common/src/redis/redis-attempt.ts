import type { Clock } from '../clock.ts';
import { sleep } from '../clock.ts';
import { errorText, SuiteError } from '../errors.ts';
import { createClient } from './redis-clients.ts';
import type { RedisClient } from './redis-clients.ts';
import { replyWord } from './redis-errors.ts';
import { parseInfo } from './redis-facts.ts';
import type { RedisFacts, RedisInfo } from './redis-facts.ts';
import type { RedisPlace, RedisTarget } from './redis-settings.ts';
import { deadline } from '../retry.ts';

export interface AttemptOptions {
  readonly target: RedisTarget;
  readonly name: string;
  /** Further nodes of a cluster that were seen before: the configured one may be the one that is gone. */
  readonly knownNodes: readonly RedisPlace[];
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onLoading: (error: SuiteError) => void;
}

export interface Connected {
  readonly client: RedisClient;
  /** Undefined when INFO is hidden from us. */
  readonly facts: RedisFacts | undefined;
  readonly nodes: readonly RedisPlace[];
}

const LOADING_POLL_MS = 250;

/** One attempt to connect: resolves when Redis answers commands, rejects with the reason and leaves nothing behind. */
export async function attemptConnect(options: AttemptOptions): Promise<Connected> {
  const { target, name, knownNodes, clock, signal } = options;
  const client = createClient(target, name, knownNodes);
  // The library keeps the reason for a failed handshake to this event and rejects with "Connection is closed".
  let reported: Error | undefined;
  client.on('error', (error: Error) => (reported ??= error));
  try {
    const limit = target.connectTimeoutMs + target.commandTimeoutMs;
    await deadline(connectOrEnd(client), limit, signal, () => silent(limit), clock);
    // A failed SELECT is only reported and would leave the client on database 0.
    if (reported !== undefined) throw reported;
    const facts = await untilLoaded(client, options);
    return { client, facts, nodes: nodesOf(client) };
  } catch (error) {
    client.disconnect();
    throw reported ?? error;
  }
}

/** The library's promise stays open for ever when a cluster answers but is not able to serve. */
function connectOrEnd(client: RedisClient): Promise<void> {
  return new Promise((resolve, reject) => {
    let nodeError: Error | undefined;
    client.on('node error', (error: Error) => (nodeError = error));
    client.once('end', () => reject(nodeError ?? notServing()));
    client.connect().then(resolve, (error: unknown) => {
      reject(error instanceof Error ? (nodeError ?? error) : notServing());
    });
  });
}

/** The library calls itself ready as soon as the socket is; Redis may still be loading, or stalled. */
async function untilLoaded(client: RedisClient, options: AttemptOptions): Promise<RedisFacts | undefined> {
  const { target, clock, signal, onLoading } = options;
  const limit = target.commandTimeoutMs;
  for (;;) {
    const info = await deadline(readInfo(client), limit, signal, () => silent(limit), clock);
    if (info?.isLoading !== true) {
      if (target.mode === 'sentinel' && info?.facts.role === 'slave') throw stillFailingOver();
      return info?.facts;
    }
    onLoading(loading(info.loadingPercent));
    await sleep(LOADING_POLL_MS, signal, clock);
  }
}

async function readInfo(client: RedisClient): Promise<RedisInfo | undefined> {
  try {
    return parseInfo(await client.info());
  } catch (error) {
    // Hidden by the ACL, or taken away with rename-command.
    if (replyWord(error) === 'NOPERM' || isUnknownCommand(error)) return undefined;
    throw error;
  }
}

function isUnknownCommand(error: unknown): boolean {
  return replyWord(error) === 'ERR' && /^ERR unknown command/i.test(errorText(error));
}

function nodesOf(client: RedisClient): RedisPlace[] {
  if (!('nodes' in client)) return [];
  return client.nodes('all').map(({ options }) => ({ host: options.host ?? '', port: options.port ?? 0 }));
}

function silent(ms: number): SuiteError {
  return new SuiteError(
    'REDIS_UNAVAILABLE',
    `no answer within ${ms} ms; check that Redis runs and is not stalled`,
    {
      retryable: true,
    },
  );
}

function loading(percent: string | undefined): SuiteError {
  const progress = percent === undefined ? '' : ` (${percent} %)`;
  return new SuiteError('REDIS_LOADING', `Redis is still loading its data${progress}`, { retryable: true });
}

function notServing(): SuiteError {
  return new SuiteError(
    'REDIS_CLUSTER_DOWN',
    'the Redis cluster does not serve all of its slots now; check its nodes',
    {
      retryable: true,
    },
  );
}

function stillFailingOver(): SuiteError {
  return new SuiteError(
    'REDIS_READONLY',
    'the Sentinels name a replica as primary; the failover is under way',
    {
      retryable: true,
    },
  );
}
