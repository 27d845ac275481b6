import { didYouMean } from '../../local-edge/src/cli/did-you-mean.ts';
import type { Finding } from '../../local-edge/src/manifest/finding.ts';
import { isRecord } from '../../local-edge/src/manifest/record.ts';
import type { DeployedModule } from './content.ts';
import { error, optionPlace } from './content.ts';
import { containerShapes, hostShapes } from './option-shapes.ts';
import type { Shape } from './option-shapes.ts';

const LEAST_MEMORY = 6 * 1024 * 1024;

/** createOptions against Docker's container create request: the names that it knows, the types of their values, and its own limits. */
export function checkOptions(module: DeployedModule): Finding[] {
  if (module.options === null) return [];
  const findings: Finding[] = [];
  const wrong = (path: string, problem: string): void =>
    void findings.push(error(optionPlace(module, path), problem));
  checkShapes(module.options, containerShapes, '', wrong);
  checkShapes(module.hostConfig, hostShapes, 'HostConfig.', wrong);
  checkHealth(module.options['Healthcheck'], wrong);
  checkMounts(module.hostConfig, wrong);
  checkPorts(module.hostConfig['PortBindings'], wrong);
  const memory = module.hostConfig['Memory'];
  if (typeof memory === 'number' && memory !== 0 && memory < LEAST_MEMORY)
    wrong('HostConfig.Memory', 'the container engine takes no less than 6 MB.');
  return findings;
}

type Wrong = (path: string, problem: string) => void;

function checkShapes(
  given: Record<string, unknown>,
  shapes: ReadonlyMap<string, Shape>,
  at: string,
  wrong: Wrong,
): void {
  for (const [name, value] of Object.entries(given)) {
    const shape = shapes.get(name);
    if (shape === undefined)
      wrong(`${at}${name}`, `Docker knows no such option${didYouMean(name, [...shapes.keys()]) || '.'}`);
    else if (value !== null && !fits(value, shape)) wrong(`${at}${name}`, `it must be ${words[shape]}.`);
  }
}

const words: Readonly<Record<Shape, string>> = {
  text: 'a text',
  flag: 'true or false',
  integer: 'a whole number',
  texts: 'a list of texts',
  textMap: 'an object of texts',
  objectMap: 'an object of objects or lists',
  object: 'an object',
  objects: 'a list',
};

function fits(value: unknown, shape: Shape): boolean {
  switch (shape) {
    case 'text':
      return typeof value === 'string';
    case 'flag':
      return typeof value === 'boolean';
    case 'integer':
      return Number.isInteger(value);
    case 'texts':
      return (
        typeof value === 'string' || (Array.isArray(value) && value.every((one) => typeof one === 'string'))
      );
    case 'textMap':
      return isRecord(value) && Object.values(value).every((one) => typeof one === 'string');
    case 'objectMap':
      return isRecord(value) && Object.values(value).every((one) => typeof one === 'object');
    case 'object':
      return isRecord(value);
    case 'objects':
      return Array.isArray(value);
  }
}

function checkHealth(check: unknown, wrong: Wrong): void {
  if (!isRecord(check)) return;
  const test = Array.isArray(check['Test']) ? check['Test'] : [];
  if (test.length > 0 && !['CMD', 'CMD-SHELL', 'NONE'].includes(String(test[0])))
    wrong('Healthcheck.Test', 'it must begin with CMD, CMD-SHELL or NONE.');
  for (const name of ['Interval', 'Timeout', 'StartPeriod', 'StartInterval']) {
    const value = check[name];
    if (value !== undefined && value !== 0 && !(Number.isInteger(value) && Number(value) >= 1_000_000))
      wrong(`Healthcheck.${name}`, 'it must be nanoseconds: 1000000 (a millisecond) or more.');
  }
  const retries = check['Retries'];
  if (retries !== undefined && !(Number.isInteger(retries) && Number(retries) >= 0))
    wrong('Healthcheck.Retries', 'it must be a whole number.');
}

function checkMounts(host: Record<string, unknown>, wrong: Wrong): void {
  const targets = new Set<string>();
  const claim = (path: string, target: string): void => {
    if (!target.startsWith('/')) wrong(path, 'the target in the container must be an absolute path.');
    else if (targets.has(target)) wrong(path, `${target} is the target of two mounts.`);
    targets.add(target);
  };
  const mounts: unknown[] = Array.isArray(host['Mounts']) ? host['Mounts'] : [];
  for (const [index, mount] of mounts.entries()) {
    const path = `HostConfig.Mounts[${index}]`;
    const { Type: type, Source: source, Target: target } = isRecord(mount) ? mount : {};
    if (!['volume', 'bind', 'tmpfs', 'npipe', 'cluster', 'image'].includes(String(type)))
      wrong(`${path}.Type`, 'it must be volume, bind or tmpfs.');
    if (type === 'bind' && !String(source).startsWith('/'))
      wrong(`${path}.Source`, 'a bind needs an absolute path of the host.');
    if (type === 'volume' && typeof source === 'string' && !isVolumeName(source))
      wrong(`${path}.Source`, 'a volume has a name of letters, digits and _.-, at least two.');
    claim(`${path}.Target`, String(target));
  }
  const binds: unknown[] = Array.isArray(host['Binds']) ? host['Binds'] : [];
  for (const [index, bind] of binds.entries()) {
    const path = `HostConfig.Binds[${index}]`;
    const [source = '', target = ''] = String(bind).split(':');
    if (!source.startsWith('/') && !isVolumeName(source))
      wrong(path, 'it must begin with an absolute path of the host or the name of a volume.');
    claim(path, target);
  }
}

function isVolumeName(text: string): boolean {
  return /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(text);
}

function checkPorts(bindings: unknown, wrong: Wrong): void {
  for (const [port, list] of Object.entries(isRecord(bindings) ? bindings : {})) {
    const path = `HostConfig.PortBindings['${port}']`;
    const number = Number(/^(\d+)(?:\/(?:tcp|udp|sctp))?$/.exec(port)?.[1] ?? 0);
    if (number < 1 || number > 65_535) wrong(path, 'a port is a number from 1 to 65535 with /tcp or /udp.');
    if (!Array.isArray(list)) wrong(path, 'it must be a list of objects with a HostPort.');
    for (const binding of Array.isArray(list) ? (list as unknown[]) : []) {
      const host = isRecord(binding) ? binding['HostPort'] : undefined;
      if (typeof host !== 'string' || !/^\d{1,5}$/.test(host) || Number(host) < 1 || Number(host) > 65_535)
        wrong(path, 'HostPort must be a text with a port from 1 to 65535; without one the engine takes any.');
    }
  }
}
