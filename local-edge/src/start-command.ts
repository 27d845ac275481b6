import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Args, Flag } from './cli/args.ts';
import { parseArgs } from './cli/args.ts';
import { EdgeError } from './errors.ts';
import type { LocalEdgeOptions } from './runtime.ts';
import { LocalEdge } from './runtime.ts';
import { welcome } from './welcome.ts';

const flags: readonly Flag[] = [
  { names: ['--template', '-t'], value: 'FILE', help: 'deployment template (deployment.template.json)' },
  {
    names: ['--env', '-e'],
    value: 'FILE',
    help: 'variables of the template (.env beside it, else .env.template)',
  },
  { names: ['--platform', '-P'], value: 'NAME', help: 'amd64, arm64v8 or arm32v7 (this machine)' },
  { names: ['--debug'], help: 'use deployment.debug.template.json; modules listen for a debugger' },
  { names: ['--state'], value: 'DIR', help: 'state folder (.edge beside the template)' },
  { names: ['--device-id', '-d'], value: 'ID', help: 'id of the device (local-edge)' },
  { names: ['--port'], value: 'N', help: 'port of the IoT Hub service API (8443, or a free one; 0 = any)' },
  { names: ['--edge-hub-port'], value: 'N', help: 'port of edgeHub, MQTT (8883, or a free one; 0 = any)' },
  { names: ['--no-https'], help: 'do not listen on port 443 as well' },
  {
    names: ['--docker'],
    help: "run the modules as containers of this machine's engine (DOCKER_HOST); no samples then",
  },
  { names: ['--no-agent'], help: 'start no modules; they are started by hand' },
  { names: ['--no-sample'], help: 'start no Azurite with a sample file, no Kafka with sample records' },
  { names: ['--kafka'], help: 'fetch Apache Kafka (44 MB, once) for the sample records of kafka-ingest' },
  { names: ['--help', '-h'], help: 'this text' },
];

export interface StartIo {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** Aborts when the user wants the local edge to end. */
  readonly signal: AbortSignal;
}

/** `edge start`: runs until it is told to stop. */
export async function startCommand(argv: readonly string[], io: StartIo): Promise<number> {
  const args = parseArgs('start', argv, flags);
  if (args.has('--help')) {
    io.stdout(help());
    return 0;
  }
  const [word] = args.words;
  if (word !== undefined) throw new EdgeError('USAGE', `edge start takes no word, but "${word}" was given.`);
  const options = readOptions(args, io);
  const edge = new LocalEdge({ ...options, env: io.env, say: (line) => io.stderr(`${line}\n`) });
  const stopped = new Promise<void>((resolve) => {
    io.signal.addEventListener('abort', () => resolve(), { once: true });
    void edge.stopRequested.then(() => resolve());
  });
  const startedAt = Date.now();
  // Ctrl+C while it starts ends the start.
  const interrupt = () => void edge.shutDown();
  io.signal.addEventListener('abort', interrupt, { once: true });
  try {
    await edge.start();
  } catch (error) {
    if (io.signal.aborted) return 130;
    throw error;
  }
  io.signal.removeEventListener('abort', interrupt);
  io.stdout(welcome(edge, options.stateDir, io.cwd, Date.now() - startedAt));
  if (!io.signal.aborted) await stopped;
  io.stderr('stopping the modules …\n');
  await edge.shutDown();
  io.stderr('stopped; twins, sessions and volumes are kept for the next start\n');
  return 0;
}

function readOptions(args: Args, io: StartIo): Omit<LocalEdgeOptions, 'say' | 'env'> {
  const name = args.has('--debug') ? 'deployment.debug.template.json' : 'deployment.template.json';
  const templatePath = resolve(io.cwd, args.text('--template') ?? name);
  if (!existsSync(templatePath)) {
    throw new EdgeError(
      'INVALID_INPUT',
      `${templatePath} does not exist. Start in the folder of the deployment template, or name it with --template FILE.`,
    );
  }
  const state = args.text('--state') ?? io.env['EDGE_STATE'];
  const env = args.text('--env');
  const platform = args.text('--platform');
  const deviceId = args.text('--device-id');
  const servicePort = readPort(args, '--port');
  const edgeHubPort = readPort(args, '--edge-hub-port');
  if (deviceId !== undefined && !/^[A-Za-z0-9\-:.+%_#*?!(),=@$']{1,128}$/.test(deviceId)) {
    throw new EdgeError(
      'USAGE',
      '--device-id must be an id as IoT Hub takes it: at most 128 letters, digits and -:._ and the like.',
    );
  }
  return {
    templatePath,
    stateDir:
      state === undefined || state === '' ? join(dirname(templatePath), '.edge') : resolve(io.cwd, state),
    ...(env === undefined ? {} : { envPath: resolve(io.cwd, env) }),
    ...(platform === undefined ? {} : { platform }),
    ...(deviceId === undefined ? {} : { deviceId }),
    ...(servicePort === undefined ? {} : { servicePort }),
    ...(edgeHubPort === undefined ? {} : { edgeHubPort }),
    https: !args.has('--no-https'),
    agent: !args.has('--no-agent'),
    docker: args.has('--docker'),
    sample: !args.has('--no-sample'),
    fetchKafka: args.has('--kafka'),
  };
}

function readPort(args: Args, flag: string): number | undefined {
  const port = args.number(flag);
  if (port !== undefined && port > 65535)
    throw new EdgeError('USAGE', `${flag} must be a port from 0 to 65535.`);
  return port;
}

function help(): string {
  const rows = flags.map(({ names, value, help: text }) => {
    const left = `${names.join(', ')}${value === undefined ? '' : ` ${value}`}`;
    return `  ${left.padEnd(22)}  ${text}`;
  });
  return `Start the device, its IoT Hub and the modules of a deployment template\n\nUsage: edge start [flags]\n\n${rows.join('\n')}\n`;
}
