import type { Healthcheck } from './container-options.ts';
import type { PlannedExec } from './planned-exec.ts';

/** Everything that is needed to start a module's process. */
export interface LaunchPlan {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly stopSignal: NodeJS.Signals;
  readonly stopTimeoutMs: number;
  readonly healthcheck: PlannedCheck | null;
  /** For commands beside the program. */
  readonly exec: PlannedExec;
  /** What stands in for the image. */
  readonly notes: readonly string[];
  /** Options of the manifest that mean nothing for a process, by name. */
  readonly without: readonly string[];
  /** Whether the program enters its ports in the table by itself; they go with it. Ports that were given to it stay. */
  readonly registersPorts: boolean;
}

export interface PlannedCheck extends Omit<Healthcheck, 'shell' | 'command'> {
  /** Answers the command anew each time, since ports of a module are known only when it listens. */
  command(): readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** Variables that a process takes from the local edge's own environment; a container would not see the others either. */
const inherited = ['HOME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR'];
const proxies = ['http_proxy', 'https_proxy', 'no_proxy', 'all_proxy'];

export function inheritedEnvironment(env: NodeJS.ProcessEnv): Record<string, string> {
  const result: Record<string, string> = {};
  for (const name of [...inherited, ...proxies, ...proxies.map((proxy) => proxy.toUpperCase())]) {
    const value = env[name];
    if (value !== undefined) result[name] = value;
  }
  return result;
}

export interface ModuleIdentityValues {
  readonly deviceId: string;
  readonly moduleId: string;
  readonly generationId: string;
  readonly hostName: string;
  readonly gatewayHostName: string;
  readonly workloadUri: string;
}

/** What edgeAgent gives to every module. */
export function injectedEnvironment(identity: ModuleIdentityValues): Record<string, string> {
  return {
    IOTEDGE_WORKLOADURI: identity.workloadUri,
    IOTEDGE_AUTHSCHEME: 'sasToken',
    IOTEDGE_MODULEGENERATIONID: identity.generationId,
    IOTEDGE_IOTHUBHOSTNAME: identity.hostName,
    IOTEDGE_GATEWAYHOSTNAME: identity.gatewayHostName,
    IOTEDGE_DEVICEID: identity.deviceId,
    IOTEDGE_MODULEID: identity.moduleId,
    IOTEDGE_APIVERSION: '2022-08-03',
  };
}

/**
 * The whole environment, in IoT Edge's order: the image's own, the manifest's `env`, what edgeAgent injects (it wins, but for the
 * log level and the protocol), and last `createOptions.Env`, which the daemon lets win over all.
 */
export function mergeEnvironment(parts: {
  readonly base: Readonly<Record<string, string>>;
  readonly manifest: Readonly<Record<string, string>>;
  readonly injected: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
}): Record<string, string> {
  return {
    ...parts.base,
    RuntimeLogLevel: 'Information',
    UpstreamProtocol: 'Amqp',
    ...parts.manifest,
    ...parts.injected,
    ...parts.options,
  };
}
