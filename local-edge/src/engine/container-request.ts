import type { DesiredModule } from '../agent/desired-modules.ts';
import { mergeEnvironment } from '../agent/launch-plan.ts';
import { isRecord } from '../manifest/record.ts';

/** Label of everything that a local edge makes in an engine; its value names the state folder. */
export const stateLabel = 'iotedge-redis.local-edge';
/** What the modules know their gateway as; it is in the certificate of the local edge's edgeHub. */
export const gatewayName = 'edgehub';

const workloadPath = '/var/run/iotedge/workload.sock';

export interface ContainerSurroundings {
  readonly stateDir: string;
  /** Name of the network in which modules find each other. */
  readonly network: string;
  /** Address of this machine in that network. */
  readonly gateway: string;
  /** Port of edgeHub there. */
  readonly edgeHubPort: number;
  /** What edgeAgent injects into a module that is a process. */
  readonly injected: Readonly<Record<string, string>>;
}

const standardEdgeHubPort = 8883;

/**
 * The body of `POST /containers/create`: createOptions as they are, and what edgeAgent adds to them: image, environment, the socket of
 * the workload API, the network. A network of the manifest's own wins.
 */
export function containerRequest(
  module: DesiredModule,
  { stateDir, network, gateway, edgeHubPort, injected }: ContainerSurroundings,
): Record<string, unknown> {
  const { createOptions } = module;
  const host = recordOf(createOptions['HostConfig']);
  const socket = (injected['IOTEDGE_WORKLOADURI'] ?? '').replace(/^unix:\/\//, '');
  const ownEnv = textsOf(createOptions['Env']);
  const env = mergeEnvironment({
    base: {},
    manifest: module.env,
    injected: {
      ...injected,
      IOTEDGE_WORKLOADURI: `unix://${workloadPath}`,
      IOTEDGE_GATEWAYHOSTNAME:
        edgeHubPort === standardEdgeHubPort ? gatewayName : `${gatewayName}:${edgeHubPort}`,
    },
    options: {},
  });
  const overridden = new Set(ownEnv.map((entry) => entry.split('=', 1)[0]));
  const networkMode = host['NetworkMode'];
  const hasOwnNetwork = typeof networkMode === 'string' && networkMode !== '' && networkMode !== 'default';
  return {
    ...createOptions,
    Image: module.image,
    Env: [
      ...Object.entries(env).flatMap(([name, value]) => (overridden.has(name) ? [] : [`${name}=${value}`])),
      ...ownEnv,
    ],
    Labels: { ...recordOf(createOptions['Labels']), [stateLabel]: stateDir },
    HostConfig: {
      ...host,
      NetworkMode: hasOwnNetwork ? networkMode : network,
      Binds: [...textsOf(host['Binds']), `${socket}:${workloadPath}`],
      ExtraHosts: [...textsOf(host['ExtraHosts']), `${gatewayName}:${gateway}`],
    },
  };
}

/** Seconds between the stop signal and SIGKILL: StopTimeout, or Docker's ten. */
export function stopSeconds(module: DesiredModule): number {
  const asked = module.createOptions['StopTimeout'];
  return typeof asked === 'number' && asked >= 0 ? asked : 10;
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return isRecord(value) ? value : {};
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string') : [];
}
