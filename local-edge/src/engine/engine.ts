import { EdgeError } from '../errors.ts';
import { entriesOf, isRecord } from '../manifest/record.ts';
import { EngineClient, EngineError, engineSocket } from './engine-client.ts';

/** The network of IoT Edge on a device; here it is made when it is missing, and left as on a device. */
export const networkName = 'azure-iot-edge';

/** An engine that answers, and the network in which modules find each other and this machine. */
export interface Engine {
  readonly client: EngineClient;
  /** `Docker 27.3.1 (API 1.47)`, for the log. */
  readonly name: string;
  /** Address of this machine in the modules' network. */
  readonly gateway: string;
}

/** Asks the engine of this machine who it is, and has the network made. Throws SERVICE_MISSING with what to do. */
export async function openEngine(env: NodeJS.ProcessEnv): Promise<Engine> {
  const client = new EngineClient(engineSocket(env));
  const version = await client.call('GET', '/version', { silenceMs: 10_000 });
  if (!isRecord(version) || typeof version['ApiVersion'] !== 'string')
    throw new EdgeError(
      'SERVICE_MISSING',
      `${client.socketPath} answers, but not as a container engine does. Name the engine's socket: DOCKER_HOST=unix:///PATH.`,
    );
  if (version['Os'] !== undefined && version['Os'] !== 'linux')
    throw new EdgeError('SERVICE_MISSING', 'The engine runs no Linux containers, and the modules are such.');
  const gateway = gatewayOf(await findNetwork(client));
  if (gateway === undefined)
    throw new EdgeError(
      'REFUSED',
      `The engine's network ${networkName} has no gateway, so that modules could not reach edgeHub. Remove it (docker network rm ${networkName}): it is made anew.`,
    );
  return { client, name: `${nameOf(version)} (API ${version['ApiVersion']})`, gateway };
}

async function findNetwork(client: EngineClient): Promise<unknown> {
  const inspect = () => client.call('GET', `/networks/${networkName}`);
  try {
    return await inspect();
  } catch (error) {
    if (!(error instanceof EngineError) || error.status !== 404) throw error;
  }
  try {
    await client.call('POST', '/networks/create', { body: { Name: networkName, Driver: 'bridge' } });
  } catch (error) {
    // Somebody else was quicker.
    if (!(error instanceof EngineError) || error.status !== 409) throw error;
  }
  return inspect();
}

function gatewayOf(network: unknown): string | undefined {
  const ipam = isRecord(network) ? network['IPAM'] : undefined;
  const configs = isRecord(ipam) && Array.isArray(ipam['Config']) ? ipam['Config'] : [];
  for (const config of configs as unknown[]) {
    const gateway = isRecord(config) ? config['Gateway'] : undefined;
    // The certificate and the listener are for IPv4.
    if (typeof gateway === 'string' && gateway.includes('.')) return gateway.split('/', 1)[0];
  }
  return undefined;
}

function nameOf(version: Record<string, unknown>): string {
  const components = entriesOf(version['Components']);
  const first = components.find(isRecord);
  const name = first?.['Name'];
  const number = version['Version'];
  return `${typeof name === 'string' ? name : 'engine'} ${typeof number === 'string' ? number : ''}`.trim();
}
