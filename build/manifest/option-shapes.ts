/** The shape of a value in Docker's container create request; an object, or a list of objects, with the names that it knows. */
export type Shape =
  | 'text'
  | 'flag'
  | 'integer'
  | 'integers'
  | 'texts'
  | 'words'
  | 'textMap'
  | 'objectMap'
  | 'listMap'
  | 'list'
  | { readonly object: Shapes }
  | { readonly objects: Shapes };

export type Shapes = ReadonlyMap<string, Shape>;

const names = (text: string): string[] => text.trim().split(/\s+/);
const of = (shape: Shape, text: string): [string, Shape][] => names(text).map((name) => [name, shape]);
const object = (...pairs: [string, Shape][][]): Shape => ({ object: new Map(pairs.flat()) });
const objects = (...pairs: [string, Shape][][]): Shape => ({ objects: new Map(pairs.flat()) });

/** Docker Engine API, `POST /containers/create`: the names that it knows, in ContainerConfig. */
export const containerShapes: Shapes = new Map([
  ...of('text', 'Hostname Domainname User WorkingDir Image MacAddress StopSignal'),
  ...of('flag', 'AttachStdin AttachStdout AttachStderr Tty OpenStdin StdinOnce ArgsEscaped NetworkDisabled'),
  ...of('texts', 'Env OnBuild'),
  // These alone may be one text, too.
  ...of('words', 'Cmd Entrypoint Shell'),
  ...of('integer', 'StopTimeout'),
  ...of('objectMap', 'ExposedPorts Volumes'),
  ...of('textMap', 'Labels'),
  ...of(
    object(of('texts', 'Test'), of('integer', 'Interval Timeout StartPeriod StartInterval Retries')),
    'Healthcheck',
  ),
  ...of(object(of('objectMap', 'EndpointsConfig')), 'NetworkingConfig'),
]);

/** The same for HostConfig, and the one name beside it that stands for "no port bindings" in the templates. */
export const hostShapes: Shapes = new Map([
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
    'Binds Dns DnsOptions DnsSearch ExtraHosts GroupAdd Links SecurityOpt VolumesFrom DeviceCgroupRules MaskedPaths ReadonlyPaths',
  ),
  ...of('words', 'CapAdd CapDrop'),
  ...of('textMap', 'StorageOpt Tmpfs Sysctls Annotations'),
  ...of('listMap', 'PortBindings NoPortBindings'),
  ...of(object(of('text', 'Type'), of('textMap', 'Config')), 'LogConfig'),
  ...of(object(of('text', 'Name'), of('integer', 'MaximumRetryCount')), 'RestartPolicy'),
  ...of(
    objects(
      of('text', 'Type Source Target Consistency'),
      of('flag', 'ReadOnly'),
      of(
        object(
          of('text', 'Propagation'),
          of('flag', 'NonRecursive CreateMountpoint ReadOnlyNonRecursive ReadOnlyForceRecursive'),
        ),
        'BindOptions',
      ),
      of(
        object(
          of('text', 'Subpath'),
          of('flag', 'NoCopy'),
          of('textMap', 'Labels'),
          of(object(of('text', 'Name'), of('textMap', 'Options')), 'DriverConfig'),
        ),
        'VolumeOptions',
      ),
      of(object(of('integer', 'SizeBytes Mode'), of('list', 'Options')), 'TmpfsOptions'),
      of(object(of('text', 'Subpath')), 'ImageOptions'),
      of(object(), 'ClusterOptions'),
    ),
    'Mounts',
  ),
  ...of(objects(of('text', 'PathOnHost PathInContainer CgroupPermissions')), 'Devices'),
  ...of(
    objects(
      of('text', 'Driver'),
      of('integer', 'Count'),
      of('texts', 'DeviceIDs'),
      of('list', 'Capabilities'),
      of('textMap', 'Options'),
    ),
    'DeviceRequests',
  ),
  ...of(objects(of('text', 'Name'), of('integer', 'Soft Hard')), 'Ulimits'),
  ...of(objects(of('text', 'Path'), of('integer', 'Weight')), 'BlkioWeightDevice'),
  ...of(
    objects(of('text', 'Path'), of('integer', 'Rate')),
    'BlkioDeviceReadBps BlkioDeviceWriteBps BlkioDeviceReadIOps BlkioDeviceWriteIOps',
  ),
  ...of('integers', 'ConsoleSize'),
]);
