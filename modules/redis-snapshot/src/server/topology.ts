import { SuiteError, formatPlace } from '@iotedge-redis/common';
import type { Log, RedisPlace, RedisTarget } from '@iotedge-redis/common';
import { fieldsOf, textOf } from './server-facts.ts';
import { ServerLink } from './server-link.ts';
import type { Reply } from './server-link.ts';

/** The servers that together hold the data, each of which gives one file. */
export async function findServers(
  target: RedisTarget,
  log: Log,
  signal: AbortSignal,
): Promise<readonly RedisPlace[]> {
  if (target.mode === 'sentinel') return [await behindSentinel(target, log, signal)];
  return target.mode === 'cluster' ? clusterPrimaries(target, signal) : [target.place];
}

/** The server to write to, where it is not a Cluster. */
export async function findPrimary(target: RedisTarget, signal: AbortSignal): Promise<RedisPlace> {
  if (target.mode !== 'sentinel') return target.place;
  const { sentinelMaster: name } = target;
  return primaryOf(
    name,
    await askSentinels(target, signal, (sentinel) =>
      sentinel.call('asking for the primary', ['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name]),
    ),
  );
}

function primaryOf(name: string, reply: Reply): RedisPlace {
  const [host, port] = Array.isArray(reply) ? (reply as readonly Reply[]).map(textOf) : [];
  if (host !== undefined && port !== undefined) return { host, port: Number(port) };
  throw new SuiteError(
    'REDIS_UNAVAILABLE',
    `asking the Sentinels for ${name}: they do not know it; check REDIS_SENTINEL_MASTER`,
    { retryable: true },
  );
}

/**
 * A replica, since a Sentinel takes a replica that only wants the file for a member, and remembers it as `ip:0`. The primary
 * where there is no healthy replica.
 */
async function behindSentinel(target: RedisTarget, log: Log, signal: AbortSignal): Promise<RedisPlace> {
  const { sentinelMaster: name } = target;
  const found = await askSentinels(target, signal, async (sentinel) => {
    const replicas = await sentinel.call('asking for the replicas', ['SENTINEL', 'REPLICAS', name]);
    const primary = await sentinel.call('asking for the primary', [
      'SENTINEL',
      'GET-MASTER-ADDR-BY-NAME',
      name,
    ]);
    return { replicas: Array.isArray(replicas) ? (replicas as readonly Reply[]).map(fieldsOf) : [], primary };
  });
  const healthy = found.replicas.find(
    (replica) =>
      !/s_down|o_down|disconnected/.test(replica.get('flags') ?? '') &&
      replica.get('master-link-status') === 'ok' &&
      Number(replica.get('port')) > 0,
  );
  if (healthy !== undefined) return { host: healthy.get('ip') ?? '', port: Number(healthy.get('port')) };
  const place = primaryOf(name, found.primary);
  log.warn(
    'no healthy replica: the export reads from the primary, which Sentinel may remember as a replica',
    { primary: formatPlace(place) },
  );
  return place;
}

async function askSentinels<T>(
  target: RedisTarget,
  signal: AbortSignal,
  ask: (link: ServerLink) => Promise<T>,
): Promise<T> {
  const { sentinelPassword, commandTimeoutMs, connectTimeoutMs, tls } = target;
  const access = {
    ...{ commandTimeoutMs, connectTimeoutMs },
    ...(tls === undefined ? {} : { tls }),
    ...(sentinelPassword === undefined ? {} : { password: sentinelPassword }),
  };
  let last: unknown;
  for (const place of target.sentinels) {
    let link: ServerLink | undefined;
    try {
      link = await ServerLink.open({ place, target: access, signal });
      return await ask(link);
    } catch (error) {
      last = error;
    } finally {
      link?.close();
    }
  }
  throw last instanceof Error
    ? last
    : new SuiteError('CONFIG_INVALID', 'asking the Sentinels: there are none');
}

const SLOTS = 16_384;

async function clusterPrimaries(target: RedisTarget, signal: AbortSignal): Promise<readonly RedisPlace[]> {
  const link = await ServerLink.open({ place: target.place, target, signal });
  try {
    const reply = await link.call('asking for the nodes of the cluster', ['CLUSTER', 'SLOTS']);
    const places = new Map<string, RedisPlace>();
    let covered = 0;
    for (const range of Array.isArray(reply) ? (reply as readonly Reply[]) : []) {
      const [first, last, primary] = Array.isArray(range) ? (range as readonly Reply[]) : [];
      const [host, port] = Array.isArray(primary) ? (primary as readonly Reply[]) : [];
      if (typeof first !== 'number' || typeof last !== 'number' || typeof port !== 'number') continue;
      covered += last - first + 1;
      // An empty or unknown name means: the one by which the question was asked.
      const given = textOf(host) ?? '';
      const place = { host: given === '' || given === '?' ? target.place.host : given, port };
      places.set(formatPlace(place), place);
    }
    if (covered < SLOTS) {
      throw new SuiteError(
        'REDIS_CLUSTER_DOWN',
        `looking for the nodes of the cluster at ${link.name}: ${SLOTS - covered} of its slots have no primary`,
        { retryable: true },
      );
    }
    return [...places.values()];
  } finally {
    link.close();
  }
}
