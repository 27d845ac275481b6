import { findServer } from '../services/find-server.ts';
import type { FindOptions } from '../services/find-server.ts';
import { readDesired } from './desired-modules.ts';
import { wellKnownService } from './image-name.ts';

/**
 * Makes sure that every server which the deployment wants to run can be had here, fetching it when it has to be. Throws
 * SERVICE_MISSING with the choices otherwise.
 */
export async function findRequiredServers(
  edgeAgent: Readonly<Record<string, unknown>>,
  options: FindOptions,
): Promise<void> {
  const running = readDesired(edgeAgent).modules.filter((module) => module.status === 'running');
  const services = new Set(running.flatMap((module) => wellKnownService(module.image) ?? []));
  for (const service of services) await findServer(service, options);
}
