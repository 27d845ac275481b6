import { SuiteError } from '../errors.ts';
import type { TlsFiles } from '../tls-files.ts';
import { parseEndpoint, parsePlace } from './redis-endpoint.ts';
import { FieldProblem, choice, custom, flag, integer, list, text } from '../settings/settings.ts';
import type { SettingsOf } from '../settings/settings.ts';

function endpointText(given: string): string {
  const result = parseEndpoint(given);
  if ('problem' in result) throw new FieldProblem(result.problem);
  return given.trim();
}

/** The settings of every module that talks to Redis; spread them into the module's own fields. */
export const redisFields = {
  endpoint: custom({
    env: 'REDIS_ENDPOINT',
    twin: 'endpoint',
    type: 'host, host:port, [ipv6]:port, redis://… or rediss://…',
    description:
      'The Redis server. Replaces host, port, TLS and database together: REDIS_HOST, REDIS_PORT, REDIS_SSL and REDIS_DB are not used while it is set; null in the twin brings them back.',
    fromText: endpointText,
  }),
  redisMode: choice({
    env: 'REDIS_MODE',
    choices: ['standalone', 'sentinel', 'cluster'],
    default: 'standalone',
    description:
      'How Redis is deployed. `cluster` takes the endpoint as one of its nodes; `sentinel` uses REDIS_SENTINELS instead.',
  }),
  redisHost: text({ env: 'REDIS_HOST', description: 'Host name or address of Redis.' }),
  redisPort: integer({
    env: 'REDIS_PORT',
    min: 1,
    max: 65_535,
    default: 6379,
    description: 'Port of Redis.',
  }),
  redisDb: integer({
    env: 'REDIS_DB',
    min: 0,
    max: 65_535,
    default: 0,
    description: 'Number of the Redis database.',
  }),
  redisUsername: text({ env: 'REDIS_USERNAME', description: 'ACL user of Redis.' }),
  redisPassword: text({
    env: ['REDIS_PASSWORD', 'REDIS_PASS'],
    secret: true,
    description: 'Password of Redis; REDIS_PASSWORD_FILE names a file that holds it.',
  }),
  redisTls: flag({ env: ['REDIS_SSL', 'REDIS_TLS'], default: false, description: 'TLS towards Redis.' }),
  redisCaFile: text({
    env: 'REDIS_CA_FILE',
    description: 'File with the CA certificates (PEM) that Redis is trusted by; else the ones of Node.',
  }),
  redisCertFile: text({
    env: 'REDIS_CERT_FILE',
    description: 'Client certificate (PEM) for Redis; needs REDIS_KEY_FILE.',
  }),
  redisKeyFile: text({ env: 'REDIS_KEY_FILE', description: 'Private key (PEM) of the client certificate.' }),
  redisTlsServerName: text({
    env: 'REDIS_TLS_SERVER_NAME',
    description: "Name to expect in the server's certificate; default: the host.",
  }),
  redisSentinels: list({
    env: 'REDIS_SENTINELS',
    default: [],
    description: 'Sentinels as host:port (port 26379 when left out), for REDIS_MODE=sentinel.',
  }),
  redisSentinelMaster: text({
    env: 'REDIS_SENTINEL_MASTER',
    default: 'mymaster',
    description: 'Name of the primary in the Sentinels.',
  }),
  redisSentinelPassword: text({
    env: 'REDIS_SENTINEL_PASSWORD',
    secret: true,
    description: 'Password of the Sentinels.',
  }),
  redisCommandTimeoutMs: integer({
    env: 'REDIS_COMMAND_TIMEOUT_MS',
    twin: 'redisCommandTimeoutMs',
    min: 100,
    max: 25_000,
    default: 2500,
    unit: 'ms',
    description: 'How long one Redis command may take before its caller gets an error.',
  }),
  redisConnectTimeoutMs: integer({
    env: 'REDIS_CONNECT_TIMEOUT_MS',
    min: 100,
    max: 60_000,
    default: 2000,
    unit: 'ms',
    description: 'How long one attempt to connect to Redis may take.',
  }),
};

export type RedisSettings = SettingsOf<typeof redisFields>;

/** All names in `redisFields`: the `uses` of a part that holds a Redis connection. */
export const redisFieldNames = Object.keys(redisFields) as (keyof RedisSettings)[];

export interface RedisPlace {
  readonly host: string;
  readonly port: number;
}

/** Everything needed to open a connection, with the settings' precedence worked in. */
export interface RedisTarget {
  readonly mode: 'standalone' | 'sentinel' | 'cluster';
  /** The server; one node of a cluster; unused with Sentinel. */
  readonly place: RedisPlace;
  readonly sentinels: readonly RedisPlace[];
  readonly sentinelMaster: string;
  readonly sentinelPassword?: string;
  readonly db: number;
  readonly username?: string;
  readonly password?: string;
  readonly tls?: TlsFiles;
  readonly commandTimeoutMs: number;
  readonly connectTimeoutMs: number;
}

const SENTINEL_PORT = 26_379;

/** What is missing before a connection can be tried at all, as a sentence; undefined when nothing is. */
export function missingRedis(settings: RedisSettings): string | undefined {
  if (settings.redisMode === 'sentinel') return undefined;
  if (settings.endpoint !== undefined || settings.redisHost !== undefined) return undefined;
  return 'endpoint is not set: set the desired property "endpoint" (host:port), or REDIS_ENDPOINT or REDIS_HOST in the environment';
}

/** Mistakes that only several Redis settings together make. */
export function checkRedis(settings: RedisSettings): { name: keyof RedisSettings; problem: string }[] {
  const mistakes: { name: keyof RedisSettings; problem: string }[] = [];
  const sentinel = settings.redisMode === 'sentinel';
  if (sentinel && settings.redisSentinels.length === 0) {
    mistakes.push({
      name: 'redisSentinels',
      problem: 'needed because REDIS_MODE is sentinel: host:port of each Sentinel',
    });
  }
  if (!sentinel && settings.redisSentinels.length > 0) {
    mistakes.push({
      name: 'redisSentinels',
      problem: 'only used with REDIS_MODE=sentinel: set that too, or remove it',
    });
  }
  if (sentinel && settings.endpoint !== undefined) {
    mistakes.push({
      name: 'endpoint',
      problem: 'cannot be used with REDIS_MODE=sentinel, where REDIS_SENTINELS says where Redis is',
    });
  }
  for (const given of settings.redisSentinels) {
    const place = parsePlace(given, SENTINEL_PORT);
    if ('problem' in place)
      mistakes.push({ name: 'redisSentinels', problem: `each one is host or host:port: ${place.problem}` });
  }
  if ((settings.redisCertFile === undefined) !== (settings.redisKeyFile === undefined)) {
    const name = settings.redisCertFile === undefined ? 'redisCertFile' : 'redisKeyFile';
    mistakes.push({ name, problem: 'a client certificate needs both REDIS_CERT_FILE and REDIS_KEY_FILE' });
  }
  if (settings.redisMode === 'cluster' && databaseOf(settings) !== 0) {
    mistakes.push({
      name: settings.endpoint === undefined ? 'redisDb' : 'endpoint',
      problem: 'a Redis cluster has database 0 only',
    });
  }
  return mistakes;
}

function databaseOf(settings: RedisSettings): number {
  const result = settings.endpoint === undefined ? undefined : parseEndpoint(settings.endpoint);
  return result !== undefined && 'endpoint' in result ? result.endpoint.db : settings.redisDb;
}

/** Works out the target from settings that `checkRedis` and `missingRedis` found no fault with. */
export function redisTarget(settings: RedisSettings): RedisTarget {
  const result = settings.endpoint === undefined ? undefined : parseEndpoint(settings.endpoint);
  if (result !== undefined && 'problem' in result) {
    throw new SuiteError('CONFIG_INVALID', `reading the Redis endpoint: ${result.problem}`);
  }
  const endpoint = result?.endpoint;
  const username = endpoint?.username ?? settings.redisUsername;
  const password = endpoint?.password ?? settings.redisPassword;
  const tls = endpoint?.tls ?? settings.redisTls;
  return {
    mode: settings.redisMode,
    place: {
      host: endpoint?.host ?? settings.redisHost ?? '',
      port: endpoint?.port ?? settings.redisPort,
    },
    sentinels: settings.redisSentinels.map((given) => placeOf(given)),
    sentinelMaster: settings.redisSentinelMaster,
    ...optional('sentinelPassword', settings.redisSentinelPassword),
    db: endpoint?.db ?? settings.redisDb,
    ...optional('username', username),
    ...optional('password', password),
    ...(tls ? { tls: tlsOf(settings) } : {}),
    commandTimeoutMs: settings.redisCommandTimeoutMs,
    connectTimeoutMs: settings.redisConnectTimeoutMs,
  };
}

function placeOf(given: string): RedisPlace {
  const place = parsePlace(given, SENTINEL_PORT);
  if ('problem' in place) throw new SuiteError('CONFIG_INVALID', `reading REDIS_SENTINELS: ${place.problem}`);
  return place;
}

function tlsOf(settings: RedisSettings): TlsFiles {
  return {
    ...optional('caFile', settings.redisCaFile),
    ...optional('certFile', settings.redisCertFile),
    ...optional('keyFile', settings.redisKeyFile),
    ...optional('serverName', settings.redisTlsServerName),
  };
}

function optional<K extends string, V>(name: K, value: V | undefined): Partial<Record<K, V>> {
  return value === undefined ? {} : ({ [name]: value } as Record<K, V>);
}
