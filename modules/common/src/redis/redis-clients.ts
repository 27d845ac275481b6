import { Cluster, Redis } from 'ioredis';
import type { ClusterOptions, RedisOptions } from 'ioredis';
import { readTlsFiles } from '../tls-files.ts';
import type { RedisPlace, RedisTarget } from './redis-settings.ts';

/** The library's client; what a caller may do with it is the same for one server, Sentinel and Cluster. */
export type RedisClient = Redis | Cluster;

/** How long a socket that does not answer our FIN is kept: a stalled peer must not delay the next attempt. */
const DISCONNECT_MS = 50;
const KEEP_ALIVE_MS = 10_000;

/**
 * Builds a client that has not connected yet. The library's own reconnecting, queueing and re-sending are off: the
 * connection above decides when to try again, and a write is never sent twice behind the caller's back.
 */
export function createClient(
  target: RedisTarget,
  name: string,
  knownNodes: readonly RedisPlace[],
): RedisClient {
  const options = {
    ...(target.username === undefined ? {} : { username: target.username }),
    ...(target.password === undefined ? {} : { password: target.password }),
    ...(target.tls === undefined ? {} : { tls: readTlsFiles('REDIS', target.tls) }),
    connectionName: name.replaceAll(/[^!-~]/g, '_'),
    connectTimeout: target.connectTimeoutMs,
    disconnectTimeout: DISCONNECT_MS,
    keepAlive: KEEP_ALIVE_MS,
    lazyConnect: true,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    autoResubscribe: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    disableClientInfo: true,
    // AUTH is always permitted, HELLO is not: an ACL user with few commands can connect by the older protocol.
    protocol: 2,
  } satisfies RedisOptions;
  if (target.mode === 'cluster') return createCluster(target, options, knownNodes);
  const never = (): null => null;
  if (target.mode === 'sentinel') {
    return new Redis({
      ...options,
      db: target.db,
      sentinels: target.sentinels.map(({ host, port }) => ({ host, port })),
      name: target.sentinelMaster,
      ...(target.sentinelPassword === undefined ? {} : { sentinelPassword: target.sentinelPassword }),
      ...(options.tls === undefined ? {} : { sentinelTLS: options.tls, enableTLSForSentinelMode: true }),
      retryStrategy: never,
      sentinelRetryStrategy: never,
    });
  }
  return new Redis({
    ...options,
    host: target.place.host,
    port: target.place.port,
    db: target.db,
    retryStrategy: never,
  });
}

function createCluster(
  target: RedisTarget,
  options: NonNullable<ClusterOptions['redisOptions']> & { replyMapping?: never },
  knownNodes: readonly RedisPlace[],
): Cluster {
  const nodes = [target.place, ...knownNodes].map(({ host, port }) => ({ host, port }));
  return new Cluster(nodes, {
    lazyConnect: true,
    enableOfflineQueue: false,
    clusterRetryStrategy: () => null,
    // Zero switches the re-sending of a write off whose connection was lost before the answer.
    retryDelayOnFailover: 0,
    slotsRefreshTimeout: target.connectTimeoutMs,
    // Names are looked up where the socket is opened, so that TLS checks the name and not an address.
    dnsLookup: (address, callback) => callback(null, address),
    redisOptions: options,
  });
}
