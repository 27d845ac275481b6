import { posix } from 'node:path';
import { entriesOf, isRecord } from '../../local-edge/src/manifest/record.ts';
import type { Wrong } from './content.ts';

const bindModes = new Set(
  'ro rw z Z shared slave private rshared rslave rprivate nocopy cached delegated consistent'.split(' '),
);

/** Mounts, Binds and Tmpfs of HostConfig: what they are of, and that no two have one target. */
export function checkMounts(host: Record<string, unknown>, wrong: Wrong): void {
  const targets = new Set<string>();
  const claim = (path: string, given: unknown): void => {
    const target = typeof given === 'string' ? posix.normalize(given).replace(/(.)\/$/, '$1') : '';
    if (!target.startsWith('/')) wrong(path, 'the target in the container must be an absolute path.');
    else if (target === '/') wrong(path, 'the target must not be the root of the container.');
    else if (targets.has(target)) wrong(path, `${target} is the target of two mounts.`);
    targets.add(target);
  };
  for (const [index, mount] of entriesOf(host['Mounts']).entries())
    if (isRecord(mount)) checkMount(mount, `HostConfig.Mounts[${index}]`, { wrong, claim });
  for (const [index, bind] of entriesOf(host['Binds']).entries())
    if (typeof bind === 'string') checkBind(bind, `HostConfig.Binds[${index}]`, { wrong, claim });
  for (const target of Object.keys(isRecord(host['Tmpfs']) ? host['Tmpfs'] : {}))
    claim(`HostConfig.Tmpfs['${target}']`, target);
}

interface How {
  readonly wrong: Wrong;
  readonly claim: (path: string, target: unknown) => void;
}

function checkMount(mount: Record<string, unknown>, path: string, { wrong, claim }: How): void {
  const { Type: type, Source: source, Target: target } = mount;
  if (!['volume', 'bind', 'tmpfs', 'npipe', 'cluster', 'image'].includes(String(type)))
    wrong(`${path}.Type`, 'it must be volume, bind or tmpfs.');
  if (type === 'bind' && !(typeof source === 'string' && source.startsWith('/')))
    wrong(`${path}.Source`, 'a bind needs an absolute path of the host.');
  if (type === 'volume' && typeof source === 'string' && !isVolumeName(source))
    wrong(`${path}.Source`, 'a volume has a name of letters, digits and _.-, at least two.');
  claim(`${path}.Target`, target);
}

function checkBind(bind: string, path: string, { wrong, claim }: How): void {
  const [source = '', target = '', mode, ...rest] = bind.split(':');
  if (!source.startsWith('/') && !isVolumeName(source))
    wrong(path, 'it must begin with an absolute path of the host or the name of a volume.');
  const modes = mode?.split(',') ?? [];
  if (
    rest.length > 0 ||
    modes.some((one) => !bindModes.has(one)) ||
    (modes.includes('ro') && modes.includes('rw'))
  )
    wrong(path, 'it must be source:target or source:target:mode, with a mode such as ro, rw or z.');
  claim(path, target);
}

function isVolumeName(text: string): boolean {
  return /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(text);
}
