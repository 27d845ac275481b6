import type { Finding } from '../../local-edge/src/manifest/finding.ts';
import type { Content, DeployedModule } from './content.ts';
import { desiredOf, error, optionPlace, twinPlace } from './content.ts';

/**
 * Whether modules can reach the Redis that they are told of, when it is one of the manifest: it is there, and speaks TLS where the address
 * says so. `left` are the modules that --modules left out.
 */
export function checkEndpoints(
  content: Content,
  modules: readonly DeployedModule[],
  left: readonly string[],
): Finding[] {
  const servers = new Map(modules.flatMap((module) => tlsSwitch(module)));
  return [
    ...modules.flatMap((module) => {
      const value = servers.get(module.name);
      return value === undefined || value === 'on' || value === 'off'
        ? []
        : [error(optionPlace(module, 'Cmd'), 'REDIS_TLS must be on or off.')];
    }),
    ...modules.flatMap((module) => (servers.get(module.name) === 'on' ? folderProblems(module) : [])),
    ...modules.flatMap(({ name }) => {
      const endpoint = desiredOf(content, name)?.['endpoint'];
      const problem = typeof endpoint === 'string' ? problemOf(endpoint, servers, left) : undefined;
      return problem === undefined ? [] : [error(twinPlace(name, 'endpoint'), problem)];
    }),
  ];
}

function problemOf(
  endpoint: string,
  servers: ReadonlyMap<string, string>,
  left: readonly string[],
): string | undefined {
  const [, scheme = 'redis', host = ''] = /^(?:([\w+-]+):\/\/)?(?:[^@/]*@)?([\w.-]+)/.exec(endpoint) ?? [];
  if (left.includes(host))
    return `it names the module ${host}, which --modules leaves out: add that one, or set REDIS_ENDPOINT to a Redis of your own.`;
  const isTls = scheme.startsWith('rediss');
  const server = servers.get(host);
  if (server === 'on' && !isTls)
    return `${host} speaks TLS alone (REDIS_TLS=on): set REDIS_ENDPOINT=rediss://${host}:6379.`;
  if (server === 'off' && isTls)
    return `${host} speaks no TLS (REDIS_TLS=off): set REDIS_TLS=on, or REDIS_ENDPOINT=${host}:6379.`;
  return undefined;
}

/** The certificate is a file of the host; the name of a volume stands for one that is empty. */
function folderProblems(module: DeployedModule): Finding[] {
  const binds = module.hostConfig['Binds'];
  return (Array.isArray(binds) ? (binds as unknown[]) : []).flatMap((bind, index) =>
    typeof bind === 'string' && bind.includes(':/tls') && !bind.startsWith('/')
      ? [
          error(
            optionPlace(module, `HostConfig.Binds[${index}]`),
            'with REDIS_TLS=on it must be a folder of the host: set REDIS_TLS_FOLDER to its absolute path, and REDIS_CA_FOLDER likewise.',
          ),
        ]
      : [],
  );
}

/** The start command of the templates' Redis asks whether `${REDIS_TLS} = on`. */
function tlsSwitch({ name, options }: DeployedModule): [string, string][] {
  const words = options?.['Cmd'];
  const text = Array.isArray(words) ? words.join(' ') : '';
  const value = text.includes('--tls-port') ? /\[ (\S*) = on \]/.exec(text)?.[1] : undefined;
  return value === undefined ? [] : [[name, value]];
}
