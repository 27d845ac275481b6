/** The shape of a value in Docker's container create request. */
export type Shape = 'text' | 'flag' | 'integer' | 'texts' | 'textMap' | 'objectMap' | 'object' | 'objects';

const names = (text: string): string[] => text.trim().split(/\s+/);
const of = (shape: Shape, text: string): [string, Shape][] => names(text).map((name) => [name, shape]);

/** Docker Engine API, `POST /containers/create`: the names that it knows, in ContainerConfig. */
export const containerShapes: ReadonlyMap<string, Shape> = new Map([
  ...of('text', 'Hostname Domainname User WorkingDir Image MacAddress StopSignal'),
  ...of('flag', 'AttachStdin AttachStdout AttachStderr Tty OpenStdin StdinOnce ArgsEscaped NetworkDisabled'),
  ...of('texts', 'Env Cmd Entrypoint OnBuild Shell'),
  ...of('integer', 'StopTimeout'),
  ...of('objectMap', 'ExposedPorts Volumes'),
  ...of('textMap', 'Labels'),
  ...of('object', 'Healthcheck HostConfig NetworkingConfig'),
]);

/** The same for HostConfig, and the one name beside it that stands for "no port bindings" in the templates. */
export const hostShapes: ReadonlyMap<string, Shape> = new Map([
  ...of(
    'text',
    'CgroupParent CpusetCpus CpusetMems NetworkMode VolumeDriver IpcMode Cgroup PidMode UTSMode UsernsMode Runtime Isolation CgroupnsMode ContainerIDFile InitPath',
  ),
  ...of(
    'integer',
    `CpuShares Memory BlkioWeight CpuPeriod CpuQuota CpuRealtimePeriod CpuRealtimeRuntime KernelMemory KernelMemoryTCP
     MemoryReservation MemorySwap MemorySwappiness NanoCpus NanoCPUs PidsLimit CpuCount CpuPercent IOMaximumIOps IOMaximumBandwidth
     OomScoreAdj ShmSize DiskQuota`,
  ),
  ...of('flag', 'OomKillDisable Init AutoRemove Privileged PublishAllPorts ReadonlyRootfs'),
  ...of(
    'texts',
    'Binds CapAdd CapDrop Dns DnsOptions DnsSearch ExtraHosts GroupAdd Links SecurityOpt VolumesFrom DeviceCgroupRules MaskedPaths ReadonlyPaths',
  ),
  ...of('textMap', 'StorageOpt Tmpfs Sysctls Annotations'),
  ...of('objectMap', 'PortBindings NoPortBindings'),
  ...of('object', 'LogConfig RestartPolicy'),
  ...of(
    'objects',
    'Mounts Devices DeviceRequests Ulimits BlkioWeightDevice BlkioDeviceReadBps BlkioDeviceWriteBps BlkioDeviceReadIOps BlkioDeviceWriteIOps ConsoleSize',
  ),
]);
