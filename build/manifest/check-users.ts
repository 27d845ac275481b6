import { isDeepStrictEqual } from 'node:util';
import { didYouMean } from '../../local-edge/src/cli/did-you-mean.ts';
import type { Finding } from '../../local-edge/src/manifest/finding.ts';
import { entriesOf, isRecord } from '../../local-edge/src/manifest/record.ts';
import { commandOf, hostOf } from './check-endpoints.ts';
import type { Content, DeployedModule } from './content.ts';
import { desiredOf, envPlace, environmentOf, error, optionPlace } from './content.ts';

interface Volume {
  readonly source: string;
  readonly target: string;
  readonly driver: unknown;
  /** Path of the mount within createOptions. */
  readonly path: string;
}

/**
 * The users that the Redis of the templates makes at its start: one of each ACL_<USER>, with a password that it writes to
 * /secrets/<user>/redis. Each must have a volume there, and each module that reads its password from one must log in as its user.
 */
export function checkUsers(
  content: Content,
  modules: readonly DeployedModule[],
  left: readonly string[],
): Finding[] {
  const redis = modules.find((module) => /\bACL_.*\/secrets\//s.test(commandOf(module)));
  if (redis === undefined)
    return modules.flatMap((module) => {
      const at = passwordVolume(module);
      if (at === undefined || !inMemory(at.volume)) return [];
      // What its endpoint names is told there.
      const endpoint = desiredOf(content, module.name)?.['endpoint'];
      if (typeof endpoint === 'string' && left.includes(hostOf(endpoint).host)) return [];
      const problem = `nothing fills the volume ${at.volume.source}, which only the module redis does: deploy it, or take REDIS_USERNAME, REDIS_PASSWORD_FILE and the volume out.`;
      return [error(envPlace(module, 'REDIS_PASSWORD_FILE'), problem)];
    });
  const rules = environmentOf(redis);
  const users = Object.keys(rules).filter((name) => name.startsWith('ACL_'));
  const volumes = volumesOf(redis).filter(({ target }) => target.startsWith('/secrets/'));
  const readers = modules.filter((module) => module !== redis);
  return [
    ...readers.flatMap((module) => checkReader(module, { redis, users, volumes })),
    ...users
      .filter((name) => !volumes.some(({ target }) => variableOf(target) === name))
      .map((name) => {
        const near = didYouMean(
          name,
          volumes.map(({ target }) => variableOf(target)),
        );
        const problem = `redis has no volume at /secrets/${userOf(name)} for the password of this user`;
        return error(envPlace(redis, name), `${problem}${near || '.'}`);
      }),
  ];
}

interface Server {
  readonly redis: DeployedModule;
  /** Names of its ACL_… variables. */
  readonly users: readonly string[];
  readonly volumes: readonly Volume[];
}

function checkReader(module: DeployedModule, { redis, users, volumes }: Server): Finding[] {
  const reads = passwordVolume(module);
  if (reads === undefined) return [];
  const { volume, file } = reads;
  const written = volumes.find(({ source }) => source === volume.source);
  if (written === undefined) {
    if (!inMemory(volume)) return [];
    const problem = `the volume ${volume.source}, from which ${module.name} reads its password, must be mounted at /secrets/${volume.source.replace(/-secrets$/, '')}.`;
    return [error(optionPlace(redis, 'HostConfig.Mounts'), problem)];
  }
  const findings: Finding[] = [];
  const variable = variableOf(written.target);
  const user = userOf(variable);
  if (!users.includes(variable))
    findings.push(
      error(
        `${redis.place}.env.${variable}`,
        `it is missing: without this list of commands ${module.name} has no user${didYouMean(variable, users) || '.'}`,
      ),
    );
  if (environmentOf(module)['REDIS_USERNAME'] !== user)
    findings.push(
      error(
        envPlace(module, 'REDIS_USERNAME'),
        `it must be ${user}, the user whose password is in the volume ${volume.source}.`,
      ),
    );
  if (file !== 'redis')
    findings.push(
      error(envPlace(module, 'REDIS_PASSWORD_FILE'), `redis writes the password to ${volume.target}/redis.`),
    );
  if (!isDeepStrictEqual(volume.driver, written.driver))
    findings.push(
      error(
        optionPlace(module, volume.path),
        `its DriverConfig must be that of ${redis.name}: the engine makes the volume once, as the first module wants it.`,
      ),
    );
  return findings;
}

/** The volume that holds a module's password of Redis, and the rest of the file's path in it. */
function passwordVolume(module: DeployedModule): { volume: Volume; file: string } | undefined {
  const path = environmentOf(module)['REDIS_PASSWORD_FILE'] ?? '';
  const volume = volumesOf(module).find(
    ({ source, target }) => /^[^/].*-secrets$/.test(source) && path.startsWith(`${target}/`),
  );
  return volume === undefined ? undefined : { volume, file: path.slice(volume.target.length + 1) };
}

/** Whether the volume is empty at first. Any other kind may be filled by somebody else. */
function inMemory({ driver }: Volume): boolean {
  const options = isRecord(driver) ? driver['Options'] : undefined;
  return isRecord(options) && options['type'] === 'tmpfs';
}

function volumesOf({ hostConfig }: DeployedModule): Volume[] {
  return [
    ...entriesOf(hostConfig['Mounts']).flatMap((mount, index) => {
      if (!isRecord(mount) || mount['Type'] !== 'volume') return [];
      const options = mount['VolumeOptions'];
      return {
        source: String(mount['Source']),
        target: String(mount['Target']).replace(/\/$/, ''),
        driver: isRecord(options) ? options['DriverConfig'] : undefined,
        path: `HostConfig.Mounts[${index}]`,
      };
    }),
    ...entriesOf(hostConfig['Binds']).map((bind, index) => {
      const [source = '', target = ''] = String(bind).split(':');
      return { source, target, driver: undefined, path: `HostConfig.Binds[${index}]` };
    }),
  ];
}

/** /secrets/redis-client ↔ ACL_REDIS_CLIENT ↔ redis-client, as the start command of redis has it. */
function variableOf(target: string): string {
  return `ACL_${target.replace('/secrets/', '').toUpperCase().replaceAll('-', '_')}`;
}

function userOf(variable: string): string {
  return variable.slice('ACL_'.length).toLowerCase().replaceAll('_', '-');
}
