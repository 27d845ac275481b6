import type { Flag } from './args.ts';
import type { Verb } from './verb.ts';

export const stateFlag: Flag = {
  names: ['--state'],
  value: 'DIR',
  help: 'state folder of the local edge (else EDGE_STATE, else the nearest .edge upwards)',
};
const device: Flag = {
  names: ['--device-id', '-d'],
  value: 'DEVICE',
  help: 'the device (default: the one there is)',
};
const module: Flag = { names: ['--module-id', '-m'], value: 'MODULE', help: 'the module', required: true };
const etag: Flag = { names: ['--etag', '-e'], value: 'ETAG', help: 'change it only while it has this etag' };

const service: readonly Verb[] = [
  {
    name: 'invoke-module-method',
    summary: 'Call a direct method of a module',
    flags: [
      module,
      {
        names: ['--method-name', '--mn'],
        value: 'METHOD',
        help: 'the method, case-sensitive',
        required: true,
      },
      {
        names: ['--method-payload', '--mp'],
        value: 'JSON',
        help: 'payload: JSON, or a file that holds it (default {})',
      },
      {
        names: ['--timeout', '--to'],
        value: 'SECONDS',
        help: '5 to 300, to connect and to respond (default 30)',
      },
      device,
    ],
    notes:
      'Prints status and payload of the reply. Exits with 0 whenever the module answered, whatever its status.\n' +
      `Example: edge invoke-module-method -m redis-client --mn SetItem --mp '"ping:pong"'`,
    load: async () => (await import('./verbs/invoke-module-method.ts')).invokeModuleMethod,
  },
  {
    name: 'module-twin show',
    summary: 'Print the twin of a module',
    flags: [module, device],
    load: async () => (await import('./verbs/module-twin.ts')).showTwin,
  },
  {
    name: 'module-twin update',
    summary: 'Merge into desired properties or tags; null deletes a key',
    flags: [
      module,
      { names: ['--desired'], value: 'JSON', help: 'desired properties: JSON, or a file that holds it' },
      { names: ['--tags'], value: 'JSON', help: 'tags: JSON, or a file that holds it' },
      {
        names: ['--set'],
        value: 'PATH=VALUE',
        help: 'one part of the twin, as properties.desired.a.b=1 or tags.site=x',
        many: true,
      },
      etag,
      device,
    ],
    notes: `Example: edge module-twin update -m redis-client --desired '{"endpoint": "redis:6379"}'`,
    load: async () => (await import('./verbs/module-twin.ts')).updateTwin,
  },
  {
    name: 'module-twin replace',
    summary: 'Replace desired properties and tags as a whole',
    flags: [
      module,
      {
        names: ['--json', '-j'],
        value: 'JSON',
        help: 'the twin: JSON, or a file that holds it',
        required: true,
      },
      etag,
      device,
    ],
    load: async () => (await import('./verbs/module-twin.ts')).replaceTwin,
  },
  {
    name: 'set-modules',
    summary: 'Deploy a manifest to the device',
    flags: [
      { names: ['--content', '-k'], value: 'FILE', help: 'the manifest: a file, or JSON', required: true },
      device,
    ],
    notes:
      'Takes a generated deployment manifest, as npm run manifest makes it, and prints the module identities; on standard error, how each module is once edgeAgent has worked it off.',
    load: async () => (await import('./verbs/set-modules.ts')).setModules,
  },
  {
    name: 'module-identity list',
    summary: 'Print the module identities with their keys',
    flags: [device],
    load: async () => (await import('./verbs/module-identity.ts')).listIdentities,
  },
];

const control: readonly Verb[] = [
  {
    name: 'monitor-events',
    summary: 'Print the messages that modules send INTO $upstream',
    flags: [
      { names: ['--module-id', '-m'], value: 'MODULE', help: 'only of this module' },
      {
        names: ['--properties', '--props', '-p'],
        value: 'KIND',
        help: 'also: sys, app, anno, all',
        many: true,
      },
      { names: ['--content-type', '--ct'], value: 'TYPE', help: 'read payloads as this, whatever they say' },
      { names: ['--message-count', '--mc'], value: 'N', help: 'end after so many messages' },
      {
        names: ['--timeout', '-t', '--to'],
        value: 'SECONDS',
        help: 'end after this long without one (default 300, 0: never)',
      },
      device,
    ],
    load: async () => (await import('./verbs/monitor-events.ts')).monitorEvents,
  },
  {
    name: 'list',
    summary: 'List the modules and their state',
    flags: [],
    load: async () => (await import('./verbs/modules.ts')).listModules,
  },
  {
    name: 'logs',
    summary: 'Print the log of a module',
    words: ['NAME'],
    flags: [
      { names: ['--tail'], value: 'N', help: 'only the last lines' },
      { names: ['--follow', '-f'], help: 'go on with what comes' },
    ],
    load: async () => (await import('./verbs/modules.ts')).printLogs,
  },
  {
    name: 'exec',
    summary: 'Run a command beside the program of a module',
    words: ['NAME', 'COMMAND', '[ARGUMENT...]'],
    flags: [],
    takesCommand: true,
    notes:
      'In the environment of the module, with paths and ports of the container put in; the exit code is that of the command. Example: edge exec redis sh /run/cli INFO server',
    load: async () => (await import('./verbs/modules.ts')).execInModule,
  },
  {
    name: 'restart',
    summary: 'Restart a module',
    words: ['NAME'],
    flags: [],
    load: async () => (await import('./verbs/modules.ts')).restartModule,
  },
  {
    name: 'stop',
    summary: 'Stop the local edge and its modules',
    flags: [],
    load: async () => (await import('./verbs/stop.ts')).stopEdge,
  },
  {
    name: 'env',
    summary: 'Print shell exports for service clients',
    flags: [],
    notes: 'Use: eval "$(npx edge env)"',
    load: async () => (await import('./verbs/environment.ts')).printServiceEnvironment,
  },
  {
    name: 'module-env',
    summary: 'Print shell exports for a module that is started by hand',
    words: ['NAME'],
    flags: [],
    notes: 'A new name is registered first. Use: eval "$(npx edge module-env NAME)"',
    load: async () => (await import('./verbs/environment.ts')).printModuleEnvironment,
  },
  {
    name: 'faults',
    summary: 'Show or set faults, for tests',
    words: ['[NAME=VALUE...]'],
    flags: [
      { names: ['--drop'], value: 'HOW', help: 'end connections to edgeHub: fin or rst' },
      { names: ['--module-id', '-m'], value: 'MODULE', help: 'with --drop: only of this module' },
      { names: ['--lose-sessions'], help: 'forget all MQTT sessions' },
      {
        names: ['--token-clock'],
        value: 'SECONDS',
        help: 'move the clock that token checks use; 0 puts it right',
      },
    ],
    notes: 'Example: edge faults stall=on connack=5; edge faults stall=off connack=off',
    load: async () => (await import('./verbs/faults.ts')).faults,
  },
];

/** Every verb but `start`, which runs the local edge itself. */
export const verbs: readonly Verb[] = [...service, ...control];
