import type { Finding } from '../../local-edge/src/manifest/finding.ts';
import { repositoryOf, tagOf } from '../../local-edge/src/agent/image-name.ts';
import { entriesOf } from '../../local-edge/src/manifest/record.ts';
import type { Content, DeployedModule } from './content.ts';
import { desiredOf, envPlace, environmentOf, error, optionPlace, twinPlace } from './content.ts';

const PORT = '6379';
/** The first Redis that knows WAITAOF. */
const [MAJOR, MINOR] = [7, 2];

interface Named {
  readonly scheme: string;
  readonly host: string;
  readonly port: string | undefined;
}

interface Network {
  readonly modules: readonly DeployedModule[];
  /** The Redis of the templates, with their REDIS_TLS. */
  readonly servers: ReadonlyMap<string, string>;
  /** Modules of this repository: none of them is a server. */
  readonly ours: ReadonlyMap<string, unknown>;
  /** Modules that --modules left out. */
  readonly left: readonly string[];
}

/**
 * Whether modules can reach the Redis and the MQTT broker that they are told of, when those are of the manifest: they are there, listen
 * where the address says, and speak TLS where it says so, with certificates that are there.
 */
export function checkEndpoints(
  content: Content,
  modules: readonly DeployedModule[],
  ours: ReadonlyMap<string, unknown>,
  left: readonly string[],
): Finding[] {
  const servers = new Map(modules.flatMap((module) => tlsSwitch(module)));
  const network = { modules, servers, ours, left };
  return modules.flatMap((module) => [
    ...checkServer(module, servers.get(module.name)),
    ...checkVersion(module),
    ...checkRedis(content, module, network),
    ...checkBrokers(content, module, left),
  ]);
}

function checkServer(module: DeployedModule, value: string | undefined): Finding[] {
  if (value === 'on')
    return folderProblems(
      module,
      '/tls',
      'with REDIS_TLS=on it must be a folder of the host: set REDIS_TLS_FOLDER to its absolute path.',
    );
  return value === undefined || value === 'off'
    ? []
    : [error(optionPlace(module, 'Cmd'), 'REDIS_TLS must be on or off.')];
}

/** The lists of commands stop an older Redis at its start. Other servers number themselves otherwise. */
function checkVersion(module: DeployedModule): Finding[] {
  if (!/(?:^|\/)redis$/.test(repositoryOf(module.image))) return [];
  const lists = Object.entries(environmentOf(module)).filter(([name]) => name.startsWith('ACL_'));
  if (!lists.some(([, rules]) => /\+waitaof\b/i.test(rules))) return [];
  const [, major, minor = '99'] = /^v?(\d+)(?:\.(\d+))?/.exec(tagOf(module.image)) ?? [];
  if (major === undefined || Number(major) > MAJOR || (Number(major) === MAJOR && Number(minor) >= MINOR))
    return [];
  const problem = `it must be Redis ${MAJOR}.${MINOR} or newer: an older one does not know WAITAOF, which a list of commands names, and ends at its start.`;
  return [error(`${module.place}.settings.image`, problem)];
}

function checkRedis(content: Content, module: DeployedModule, network: Network): Finding[] {
  const endpoint = desiredOf(content, module.name)?.['endpoint'];
  if (typeof endpoint !== 'string') return [];
  const named = hostOf(endpoint);
  const problem = redisProblem(named, network);
  const findings = problem === undefined ? [] : [error(twinPlace(module.name, 'endpoint'), problem)];
  const certificate = environmentOf(module)['REDIS_CA_FILE'] ?? '';
  if (named.scheme !== 'rediss' || certificate === '') return findings;
  const folder = certificate.slice(0, certificate.lastIndexOf('/'));
  const what = `with rediss:// it must be a folder of the host, with the file of REDIS_CA_FILE: set REDIS_CA_FOLDER to its absolute path.`;
  return [...findings, ...folderProblems(module, folder, what)];
}

function redisProblem(named: Named, { modules, servers, ours, left }: Network): string | undefined {
  const { scheme, host, port } = named;
  if (left.includes(host))
    return `it names the module ${host}, which --modules leaves out: add that one, or set REDIS_ENDPOINT to a Redis of your own.`;
  if (isLoopback(host))
    return `${host} is the container of the module itself: name the module redis, or an address that containers reach.`;
  const target = modules.find(({ name }) => name === host);
  if (target === undefined) return undefined;
  const isTls = scheme === 'rediss';
  const server = servers.get(host);
  if (server === undefined)
    return ours.has(host) || !/redis|valkey|keydb|dragonfly|garnet|kvrocks/i.test(target.image)
      ? `the module ${host} is no Redis.`
      : undefined;
  if (server === 'on' && !isTls)
    return `${host} speaks TLS alone (REDIS_TLS=on): set REDIS_ENDPOINT=rediss://${host}:${PORT}.`;
  if (server === 'off' && isTls)
    return `${host} speaks no TLS (REDIS_TLS=off): set REDIS_TLS=on, or REDIS_ENDPOINT=${host}:${PORT}.`;
  if (port !== undefined && port !== PORT) return `${host} listens on port ${PORT} alone.`;
  return undefined;
}

/** stream-to-mqtt has no other broker than the one that it is told of. */
function checkBrokers(content: Content, module: DeployedModule, left: readonly string[]): Finding[] {
  const environment = environmentOf(module);
  const twin = desiredOf(content, module.name)?.['mqttBrokers'];
  const listed = environment['MQTT_BROKERS'] ?? '';
  const given: readonly (readonly [path: string, address: unknown])[] = Array.isArray(twin)
    ? twin.map((one): [string, unknown] => [twinPlace(module.name, 'mqttBrokers'), one])
    : listed !== ''
      ? listed.split(',').map((one): [string, unknown] => [envPlace(module, 'MQTT_BROKERS'), one.trim()])
      : [[envPlace(module, 'MQTT_BROKER_HOST'), environment['MQTT_BROKER_HOST']]];
  return given.flatMap(([path, address]) => {
    const host = typeof address === 'string' ? hostOf(address).host : '';
    if (left.includes(host))
      return [
        error(
          path,
          `it names the module ${host}, which --modules leaves out: add that one, or name another broker.`,
        ),
      ];
    return isLoopback(host)
      ? [
          error(
            path,
            `${host} is the container of the module itself: name the module of the broker, or its address.`,
          ),
        ]
      : [];
  });
}

/** Scheme, host and port of `host:port` or a URL. */
export function hostOf(address: string): Named {
  const [, scheme = 'redis', host = '', port] =
    /^(?:([\w+-]+):\/\/)?(?:[^@/]*@)?(\[[\da-f:.]+\]|[\w.-]+)(?::(\d+))?/i.exec(address.trim()) ?? [];
  return { scheme: scheme.toLowerCase(), host, port };
}

function isLoopback(host: string): boolean {
  return /^(?:localhost|127\.[\d.]+|\[::1\])$/i.test(host);
}

/** A certificate is a file of the host; the name of a volume stands for one that is empty. */
function folderProblems(module: DeployedModule, folder: string, problem: string): Finding[] {
  return entriesOf(module.hostConfig['Binds']).flatMap((bind, index) =>
    typeof bind === 'string' && bind.split(':')[1] === folder && !bind.startsWith('/')
      ? [error(optionPlace(module, `HostConfig.Binds[${index}]`), problem)]
      : [],
  );
}

/** The start command of the templates' Redis asks whether `${REDIS_TLS} = on`. */
function tlsSwitch(module: DeployedModule): [string, string][] {
  const text = commandOf(module);
  const value = text.includes('--tls-port') ? /\[ (\S*) = on \]/.exec(text)?.[1] : undefined;
  return value === undefined ? [] : [[module.name, value]];
}

/** The words of the command with which a container starts. */
export function commandOf({ options }: DeployedModule): string {
  return [options?.['Entrypoint'], options?.['Cmd']].flat().join(' ');
}
