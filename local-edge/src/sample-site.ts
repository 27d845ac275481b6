import { readDesired } from './agent/desired-modules.ts';
import type { DesiredModule } from './agent/desired-modules.ts';
import { wellKnownService } from './agent/image-name.ts';
import type { HubCore } from './hub/hub.ts';
import type { JsonObject } from './hub/hub-api.ts';
import { services } from './services/catalogue.ts';

const SNAPSHOT = 'redis-snapshot';
/** The module of the second site, and its Redis. */
export const SITE_SNAPSHOT = 'redis-snapshot-dr';
const SITE_REDIS = 'redis-dr';
/** Tells the sample's modules from those of a deployment that happen to have the same names. */
const MARK = 'EDGE_SAMPLE_SITE';

/**
 * Puts a second site beside a deployment with a redis-snapshot: a Redis of its own and a redis-snapshot that is bound to it, on the
 * same device for want of another. False when there can be none: the deployment has no Redis of its own, has modules of these
 * names, or EDGE_REDIS_ADDRESS would make both Redis the same one. `storage`: desired properties of the site's redis-snapshot.
 */
export function openSampleSite(hub: HubCore, env: NodeJS.ProcessEnv, storage: JsonObject): boolean {
  const modules = deployed(hub);
  const snapshot = modules.find(({ name }) => name === SNAPSHOT);
  const redis = modules.find(({ image }) => wellKnownService(image) === 'redis');
  const isTaken = modules.some(({ name }) => name === SITE_REDIS || name === SITE_SNAPSHOT);
  if (snapshot === undefined || redis === undefined || isTaken) return false;
  if ((env[services.redis.addressVariable] ?? '') !== '') return false;
  // Its twin has to be there before the module asks for it.
  hub.identities.add(SITE_SNAPSHOT, { managedBy: 'IotEdge' });
  patch(hub, SITE_SNAPSHOT, { endpoint: `${SITE_REDIS}:6379`, ...storage });
  patch(hub, '$edgeAgent', {
    modules: {
      [SITE_REDIS]: moduleOf(redis.image, 0, { Cmd: ['redis-server', '--save', '', '--appendonly', 'no'] }),
      [SITE_SNAPSHOT]: moduleOf(snapshot.image, 1, {}),
    },
  });
  return true;
}

/** Takes the site of an earlier start out of the deployment. */
export function closeSampleSite(hub: HubCore): void {
  const names = deployed(hub).flatMap(({ name, env }) => (env[MARK] === undefined ? [] : [name]));
  if (names.length === 0) return;
  patch(hub, '$edgeAgent', { modules: Object.fromEntries(names.map((name) => [name, null])) });
}

function deployed(hub: HubCore): readonly DesiredModule[] {
  return readDesired(hub.twins.get('$edgeAgent')?.desired.properties ?? {}).modules;
}

function moduleOf(image: string, startupOrder: number, createOptions: JsonObject): JsonObject {
  return {
    version: '1.0',
    type: 'docker',
    status: 'running',
    restartPolicy: 'always',
    startupOrder,
    env: { [MARK]: { value: '1' } },
    settings: { image, createOptions: JSON.stringify(createOptions) },
  };
}

function patch(hub: HubCore, moduleId: string, desired: JsonObject): void {
  const done = hub.twins.patchDesired(moduleId, { desired });
  if (!done.ok) throw new Error(done.problem);
}
