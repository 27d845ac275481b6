import { errorText } from '../errors.ts';
import type { Log } from '../log.ts';
import { readAzureSettings } from './azure-settings.ts';
import { createDeferredEdge } from './deferred-edge.ts';
import type { Edge, EdgeIdentity } from './edge.ts';
import type { StandaloneEdge } from './standalone-edge.ts';
import { createStandaloneEdge } from './standalone-edge.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface OpenEdgeOptions {
  readonly environment: Environment;
  readonly log: Log;
  /** Host name and instance, for a module that runs without IoT Edge. */
  readonly standalone: EdgeIdentity;
}

/** True when the environment has what IoT Edge, or its development tools, give a module. */
export function isUnderIotEdge(environment: Environment): boolean {
  return ['IOTEDGE_WORKLOADURI', 'EdgeHubConnectionString', 'IotHubConnectionString'].some(
    (name) => environment[name],
  );
}

/**
 * edgeHub under IoT Edge, else stand-alone. The device SDK is loaded by `start`, and never without IoT Edge. Throws a
 * ConfigError when IoT Edge's part of the environment is not whole.
 */
export function openEdge({ environment, log, standalone }: OpenEdgeOptions): Edge | StandaloneEdge {
  if (!isUnderIotEdge(environment)) return createStandaloneEdge(standalone);
  const { deviceId, moduleId } = readAzureSettings(environment);
  return createDeferredEdge('azure', { deviceId, moduleId }, async () => {
    try {
      const { createAzureEdge } = await import('./azure-edge.ts');
      return createAzureEdge({ environment, log });
    } catch (error) {
      log.error('the device SDK could not be loaded', { error: errorText(error) });
      throw error;
    }
  });
}

export function isStandalone(edge: Edge): edge is StandaloneEdge {
  return edge.kind === 'standalone' && 'invoke' in edge;
}
