import { isRecord } from '../manifest/record.ts';

/** createOptions (Docker's container create request) as far as they mean something for a process. */
export interface ContainerOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly cmd: readonly string[] | null;
  readonly entrypoint: readonly string[] | null;
  readonly workingDir: string | null;
  readonly mounts: readonly Mount[];
  /** Container port (TCP) → host port. */
  readonly hostPorts: ReadonlyMap<number, number>;
  readonly healthcheck: Healthcheck | null;
  readonly stopSignal: NodeJS.Signals;
  readonly stopTimeoutMs: number;
  /** Options that were given and mean nothing for a process, by name. */
  readonly without: readonly string[];
}

export interface Mount {
  /** `memory`: a named volume of the local driver on a tmpfs, which lives as long as a container holds it. */
  readonly kind: 'volume' | 'memory' | 'bind' | 'private' | 'tmpfs';
  /** Name of a volume, host path of a bind; the target itself for the others. */
  readonly source: string;
  readonly target: string;
}

export interface Healthcheck {
  readonly shell: boolean;
  readonly command: readonly string[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly retries: number;
  readonly startPeriodMs: number;
}

// What a process cannot have or already has. Ignoring it changes nothing that a module can rely on for its work.
const meaningless = new Set(
  (
    'Hostname Domainname User AttachStdin AttachStdout AttachStderr Tty OpenStdin StdinOnce Labels Image ArgsEscaped OnBuild ' +
    'MacAddress Shell NetworkingConfig ExposedPorts'
  ).split(' '),
);
const meaninglessHost = new Set(
  (
    'Annotations AutoRemove BlkioDeviceReadBps BlkioDeviceReadIOps BlkioDeviceWriteBps BlkioDeviceWriteIOps BlkioWeight ' +
    'BlkioWeightDevice CapAdd CapDrop Cgroup CgroupParent CgroupnsMode ConsoleSize CpuCount CpuPercent CpuPeriod CpuQuota ' +
    'CpuRealtimePeriod CpuRealtimeRuntime CpuShares CpusetCpus CpusetMems DeviceCgroupRules Dns DnsOptions DnsSearch GroupAdd ' +
    'IOMaximumBandwidth IOMaximumIOps Init IpcMode Isolation KernelMemory KernelMemoryTCP LogConfig MaskedPaths Memory ' +
    'MemoryReservation MemorySwap MemorySwappiness NanoCpus NanoCPUs OomKillDisable OomScoreAdj PidMode PidsLimit Privileged ' +
    'PublishAllPorts ReadonlyPaths ReadonlyRootfs RestartPolicy Runtime SecurityOpt ShmSize StorageOpt Sysctls Ulimits UTSMode ' +
    'UsernsMode VolumeDriver'
  ).split(' '),
);
/** A template has no other way to leave PortBindings out by a variable; the daemon takes no notice of names that it does not know. */
const unpublished = 'NoPortBindings';
const ordinaryNetworks = new Set(['', 'default', 'bridge', 'azure-iot-edge']);

/** Reads createOptions; answers the names and reasons of what cannot be honoured when there is any. */
export function readContainerOptions(
  options: Readonly<Record<string, unknown>>,
): ContainerOptions | { readonly refused: readonly string[] } {
  const refused: string[] = [];
  const without: string[] = [];
  const host = options['HostConfig'];
  const read = new Reader(refused);
  const result = {
    env: read.env(options['Env']),
    cmd: read.words(options['Cmd'], 'Cmd'),
    entrypoint: read.words(options['Entrypoint'], 'Entrypoint'),
    workingDir: read.text(options['WorkingDir'], 'WorkingDir'),
    mounts: [...read.volumes(options['Volumes'])],
    hostPorts: new Map<number, number>(),
    healthcheck: read.healthcheck(options['Healthcheck']),
    stopSignal: read.signal(options['StopSignal']),
    stopTimeoutMs: read.number(options['StopTimeout'], 'StopTimeout', 10) * 1000,
    without,
  };
  const known = [
    'Env',
    'Cmd',
    'Entrypoint',
    'WorkingDir',
    'Volumes',
    'Healthcheck',
    'StopSignal',
    'StopTimeout',
  ];
  for (const [key, value] of Object.entries(options)) {
    if (known.includes(key) || key === 'HostConfig' || isEmpty(value)) continue;
    if (key === 'ExposedPorts') continue;
    if (meaningless.has(key)) without.push(key);
    else refused.push(`${key} is not known`);
  }
  if (host !== undefined && host !== null && !isRecord(host)) refused.push('HostConfig is not an object');
  for (const [key, value] of Object.entries(isRecord(host) ? host : {})) {
    const name = `HostConfig.${key}`;
    if (isEmpty(value) || key === unpublished) continue;
    if (key === 'Binds') result.mounts.push(...read.binds(value));
    else if (key === 'Mounts') result.mounts.push(...read.mounts(value));
    else if (key === 'Tmpfs') result.mounts.push(...read.tmpfs(value));
    else if (key === 'PortBindings') read.ports(value, result.hostPorts, without);
    else if (key === 'NetworkMode' && typeof value === 'string' && ordinaryNetworks.has(value)) continue;
    else if (key === 'NetworkMode')
      refused.push(`${name} other than azure-iot-edge and bridge is not emulated`);
    else if (meaninglessHost.has(key)) without.push(name);
    else refused.push(`${name} is not emulated`);
  }
  return refused.length > 0 ? { refused } : result;
}

function isEmpty(value: unknown): boolean {
  if (value === null || value === undefined || value === '' || value === false) return true;
  return Array.isArray(value) ? value.length === 0 : isRecord(value) && Object.keys(value).length === 0;
}

function isInMemory(mount: unknown): boolean {
  const options = isRecord(mount) ? mount['VolumeOptions'] : undefined;
  const driver = isRecord(options) ? options['DriverConfig'] : undefined;
  const values = isRecord(driver) ? driver['Options'] : undefined;
  return isRecord(values) && values['type'] === 'tmpfs';
}

class Reader {
  readonly #refused: string[];

  constructor(refused: string[]) {
    this.#refused = refused;
  }

  text(value: unknown, name: string): string | null {
    if (value === undefined || value === null || value === '') return null;
    if (typeof value === 'string') return value;
    this.#refused.push(`${name} is not a text`);
    return null;
  }

  number(value: unknown, name: string, otherwise: number): number {
    if (value === undefined || value === null || value === 0) return otherwise;
    if (typeof value === 'number' && value > 0) return value;
    this.#refused.push(`${name} is not a positive number`);
    return otherwise;
  }

  /** Docker takes a single text for a list of one word, too. */
  words(value: unknown, name: string): readonly string[] | null {
    if (value === undefined || value === null) return null;
    if (typeof value === 'string') return [value];
    if (Array.isArray(value) && value.every((word) => typeof word === 'string'))
      return value.length === 0 ? null : value;
    this.#refused.push(`${name} is not a list of texts`);
    return null;
  }

  env(value: unknown): Record<string, string> {
    const env = new Map<string, string>();
    for (const line of this.words(value, 'Env') ?? []) {
      const at = line.indexOf('=');
      if (at > 0) env.set(line.slice(0, at), line.slice(at + 1));
    }
    return Object.fromEntries(env);
  }

  signal(value: unknown): NodeJS.Signals {
    const text = this.text(value, 'StopSignal') ?? 'SIGTERM';
    const name = text.startsWith('SIG') ? text : `SIG${text}`;
    const known: readonly NodeJS.Signals[] = [
      'SIGTERM',
      'SIGINT',
      'SIGQUIT',
      'SIGHUP',
      'SIGUSR1',
      'SIGUSR2',
      'SIGKILL',
    ];
    const found = known.find((signal) => signal === name);
    if (found === undefined)
      this.#refused.push('StopSignal is none of SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2');
    return found ?? 'SIGTERM';
  }

  healthcheck(value: unknown): Healthcheck | null {
    if (value === undefined || value === null) return null;
    if (!isRecord(value)) {
      this.#refused.push('Healthcheck is not an object');
      return null;
    }
    const [kind, ...command] = this.words(value['Test'], 'Healthcheck.Test') ?? ['NONE'];
    if (kind === 'NONE') return null;
    if ((kind !== 'CMD' && kind !== 'CMD-SHELL') || command.length === 0) {
      this.#refused.push('Healthcheck.Test must start with CMD, CMD-SHELL or NONE');
      return null;
    }
    const ms = (key: string, otherwise: number) =>
      this.number(value[key], `Healthcheck.${key}`, otherwise * 1e6) / 1e6;
    return {
      shell: kind === 'CMD-SHELL',
      command,
      intervalMs: ms('Interval', 30_000),
      timeoutMs: ms('Timeout', 30_000),
      retries: this.number(value['Retries'], 'Healthcheck.Retries', 3),
      startPeriodMs: value['StartPeriod'] === undefined ? 0 : ms('StartPeriod', 0),
    };
  }

  volumes(value: unknown): Mount[] {
    if (!isRecord(value)) return [];
    return Object.keys(value).map((target) => ({ kind: 'private', source: target, target }));
  }

  tmpfs(value: unknown): Mount[] {
    if (!isRecord(value)) return [];
    return Object.keys(value).map((target) => ({ kind: 'tmpfs', source: target, target }));
  }

  binds(value: unknown): Mount[] {
    return (this.words(value, 'HostConfig.Binds') ?? []).flatMap((bind): Mount[] => {
      const [source = '', target = ''] = bind.split(':');
      if (source === '' || !target.startsWith('/')) {
        this.#refused.push('HostConfig.Binds holds an entry that is not SOURCE:/TARGET');
        return [];
      }
      return source.startsWith('/') ? [{ kind: 'bind', source, target }] : this.volume(source, target);
    });
  }

  /** The name becomes a folder's: what Docker refuses as a name could also leave the folder of the volumes. */
  volume(source: string, target: string, kind: 'volume' | 'memory' = 'volume'): Mount[] {
    if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(source)) return [{ kind, source, target }];
    this.#refused.push(
      `the volume name ${JSON.stringify(source)} is not one that Docker takes (letters, digits and _.-, at least two)`,
    );
    return [];
  }

  mounts(value: unknown): Mount[] {
    return (Array.isArray(value) ? value : [null]).flatMap((mount: unknown): Mount[] => {
      const type = isRecord(mount) ? mount['Type'] : undefined;
      const source = isRecord(mount) && typeof mount['Source'] === 'string' ? mount['Source'] : '';
      const target = isRecord(mount) && typeof mount['Target'] === 'string' ? mount['Target'] : '';
      if (target.startsWith('/') && type === 'tmpfs') return [{ kind: 'tmpfs', source: target, target }];
      if (target.startsWith('/') && type === 'volume') {
        if (source === '') return [{ kind: 'private', source: target, target }];
        return this.volume(source, target, isInMemory(mount) ? 'memory' : 'volume');
      }
      if (target.startsWith('/') && type === 'bind' && source.startsWith('/'))
        return [{ kind: 'bind', source, target }];
      this.#refused.push('HostConfig.Mounts holds an entry that is no volume, bind or tmpfs with a Target');
      return [];
    });
  }

  ports(value: unknown, hostPorts: Map<number, number>, without: string[]): void {
    for (const [key, bindings] of Object.entries(isRecord(value) ? value : {})) {
      const match = /^(\d+)(?:\/(\w+))?$/.exec(key);
      if (match === null || (match[2] ?? 'tcp') !== 'tcp') {
        without.push(`HostConfig.PortBindings ${key}`);
        continue;
      }
      const first: unknown = Array.isArray(bindings) ? bindings[0] : undefined;
      const port = isRecord(first) ? Number(first['HostPort'] ?? 0) : 0;
      if (Number.isInteger(port) && port > 0 && port < 65536) hostPorts.set(Number(match[1]), port);
    }
  }
}
