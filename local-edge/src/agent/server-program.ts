import { mkdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { EdgeError } from '../errors.ts';
import { freePort } from '../net/free-port.ts';
import type { NetworkTable } from '../net/net-table.ts';
import { services } from '../services/catalogue.ts';
import type { FoundProgram, FoundServer } from '../services/find-server.ts';
import { planCheck } from './health-check.ts';
import type { LaunchPlan } from './launch-plan.ts';
import type { ForeignServer } from './module-runner.ts';
import { planExec } from './planned-exec.ts';
import { mosquittoConfiguration, writeMosquittoWrapper } from './mosquitto-program.ts';
import { redisPorts } from './redis-ports.ts';
import { writeRedisWrappers } from './server-wrappers.ts';
import type { Surroundings } from './surroundings.ts';

/** Plans a well-known server image: its entry point's habits, with the program that was found, on loopback ports. */
export async function launchServer(
  found: FoundServer,
  surroundings: Surroundings,
  table: NetworkTable,
): Promise<LaunchPlan | ForeignServer> {
  const { module } = surroundings;
  const port = services[found.service].standardPort;
  if (found.kind === 'address') {
    table.set(module.name, port, found.port);
    return {
      kind: 'foreign',
      address: `${found.host}:${found.port}`,
      notes: [
        `${found.variable} names a server that runs already: nothing is started, createOptions have no effect`,
      ],
    };
  }
  return found.service === 'mosquitto'
    ? planMosquitto(found, surroundings, table)
    : planRedis(found, surroundings, table);
}

async function planRedis(
  found: FoundProgram,
  surroundings: Surroundings,
  table: NetworkTable,
): Promise<LaunchPlan> {
  const { module, options, map } = surroundings;
  const given = (options.cmd ?? []).map(map);
  // The image's entry point puts the server in front of options and of a configuration file.
  const first = given[0];
  const server =
    options.entrypoint === null && (first === undefined || first.startsWith('-') || first.endsWith('.conf'));
  const words = [...(options.entrypoint ?? []).map(map), ...(server ? ['redis-server'] : []), ...given];
  const ports = await allocate(redisPorts(words), surroundings, table);
  const bin = join(surroundings.own, 'bin');
  await writeRedisWrappers({ folder: bin, found, ports, netTable: table.file, moduleName: module.name });
  return plan(found, surroundings, table, { words, bin, dataTarget: '/data' });
}

async function planMosquitto(
  found: FoundProgram,
  surroundings: Surroundings,
  table: NetworkTable,
): Promise<LaunchPlan> {
  const { options, map } = surroundings;
  const standard = ['/usr/sbin/mosquitto', '-c', '/mosquitto/config/mosquitto.conf'];
  const words = [
    ...(options.entrypoint ?? []),
    ...(options.cmd ?? (options.entrypoint === null ? standard : [])),
  ].map(map);
  const configuration = mosquittoConfiguration(words);
  const ports = await allocate(configuration.ports, surroundings, table);
  const bin = join(surroundings.own, 'bin');
  writeMosquittoWrapper({ folder: bin, found, ports, configuration, map });
  const named = words.map((word) => (word === '/usr/sbin/mosquitto' ? 'mosquitto' : word));
  return plan(found, surroundings, table, { words: named, bin, dataTarget: '/mosquitto/data' });
}

/** A loopback port for each container port: the host port that PortBindings ask for, else a free one, kept over restarts. */
async function allocate(
  containerPorts: readonly number[],
  { module, options }: Surroundings,
  table: NetworkTable,
): Promise<Map<number, number>> {
  const ports = new Map<number, number>();
  for (const containerPort of containerPorts) {
    const wanted = options.hostPorts.get(containerPort);
    const port = await freePort(wanted ?? table.find(module.name, containerPort));
    if (wanted !== undefined && port !== wanted) {
      throw new EdgeError(
        'PORT_IN_USE',
        `Host port ${wanted} of ${module.name} (PortBindings ${containerPort}/tcp) is in use. Free it or change the manifest.`,
      );
    }
    ports.set(containerPort, port);
    table.set(module.name, containerPort, port);
  }
  return ports;
}

function plan(
  found: FoundProgram,
  surroundings: Surroundings,
  table: NetworkTable,
  parts: { readonly words: readonly string[]; readonly bin: string; readonly dataTarget: string },
): LaunchPlan {
  const { module, options, own, folders } = surroundings;
  // The images work in their data volume; without a mount it is an anonymous one, which goes with the container.
  const data = folders.find((one) => one.target === parts.dataTarget)?.folder ?? join(own, 'data');
  mkdirSync(data, { recursive: true, mode: 0o700 });
  const env = { ...surroundings.env, PATH: [parts.bin, surroundings.env['PATH'] ?? ''].join(delimiter) };
  const [command = found.command, ...args] = parts.words;
  const exec = planExec(surroundings, table, env);
  return {
    command,
    args,
    env,
    cwd: data,
    stopSignal: options.stopSignal,
    stopTimeoutMs: options.stopTimeoutMs,
    healthcheck: planCheck(options, exec),
    exec,
    registersPorts: false,
    notes: [`${module.image} runs as ${found.program} ${found.version} (${found.command})`],
    without: options.without,
  };
}
