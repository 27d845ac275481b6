import type { JsonObject } from '../../local-edge/src/hub/hub-api.ts';

/** A small deployment that IoT Hub would take: the system modules and `names`, each with a desired property. */
export function deploymentOf(...names: string[]): JsonObject {
  const module = {
    type: 'docker',
    status: 'running',
    restartPolicy: 'always',
    settings: { image: 'example' },
  };
  return {
    modulesContent: {
      $edgeAgent: {
        'properties.desired': {
          schemaVersion: '1.1',
          runtime: { type: 'docker', settings: {} },
          systemModules: {},
          modules: Object.fromEntries(names.map((name) => [name, module])),
        },
      },
      $edgeHub: {
        'properties.desired': {
          schemaVersion: '1.1',
          routes: {},
          storeAndForwardConfiguration: { timeToLiveSecs: 60 },
        },
      },
      ...Object.fromEntries(
        names.map((name) => [name, { 'properties.desired': { endpoint: 'redis:6379' } }]),
      ),
    },
  };
}
