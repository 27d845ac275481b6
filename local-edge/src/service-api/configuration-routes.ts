import type { Hub, JsonObject } from '../hub/hub-api.ts';
import { applyContent } from './configuration-content.ts';
import type { ConfigurationStore, StoredConfiguration } from './configuration-store.ts';
import type { Configurations } from './configurations.ts';
import { configurationEtag, readConfiguration } from './configurations.ts';
import { requireDevice } from './lookup.ts';
import type { Reply } from './replies.ts';
import { ServiceError, notEmulated } from './replies.ts';
import type { ServiceRequest } from './request.ts';
import { badArgument, checkIfMatch, parameter, parseObject } from './request.ts';
import type { Route } from './router.ts';

/** Ids as IoT Hub takes them: lower case. */
const CONFIGURATION_ID = /^[a-z0-9\-:+%_#*?!(),=@$']{1,128}$/;

function view(configurations: Configurations, item: StoredConfiguration): JsonObject {
  return {
    id: item.id,
    schemaVersion: item.schemaVersion,
    labels: item.labels,
    content: item.content,
    targetCondition: item.targetCondition,
    priority: item.priority,
    createdTimeUtc: item.createdTimeUtc,
    lastUpdatedTimeUtc: item.lastUpdatedTimeUtc,
    contentType: 'assignment',
    etag: configurationEtag(item),
    systemMetrics: {
      results: {
        targetedCount: configurations.targets(item) ? 1 : 0,
        appliedCount: configurations.applied(item) ? 1 : 0,
      },
      queries: {},
    },
    metrics: { results: {}, queries: item.metrics['queries'] ?? {} },
  };
}

function required(configurations: Configurations, request: ServiceRequest): StoredConfiguration {
  const id = parameter(request, 'id');
  const item = configurations.get(id);
  if (item !== undefined) return item;
  throw new ServiceError(404, 'ConfigurationNotFound', `Configuration ${id} not found`);
}

async function put(configurations: Configurations, request: ServiceRequest): Promise<Reply> {
  const id = parameter(request, 'id');
  if (!CONFIGURATION_ID.test(id))
    throw badArgument("A configuration id has 1 to 128 of a-z 0-9 - : + % _ # * ? ! ( ) , = @ $ '");
  const body = parseObject(request);
  if (body['id'] !== undefined && body['id'] !== id)
    throw badArgument('id of the body is not the one of the path');
  const current = configurations.get(id);
  if (request.header('if-match') === undefined) {
    if (current !== undefined)
      throw new ServiceError(409, 'ConfigurationAlreadyExists', `Configuration ${id} already exists`);
  } else checkIfMatch(request, configurationEtag(required(configurations, request)));
  const next = readConfiguration(id, body, current);
  await configurations.put(next);
  return { status: 200, body: view(configurations, next) };
}

/** Deployments: to the device itself, and at scale by target condition. */
export function configurationRoutes(
  hub: Hub,
  configurations: Configurations,
  store: ConfigurationStore,
): Route[] {
  return [
    {
      method: 'POST',
      pattern: '/devices/:device/applyConfigurationContent',
      handler: async (request) => {
        requireDevice(hub, request);
        await applyContent(hub, parseObject(request));
        store.set({ applied: null });
        return { status: 204 };
      },
    },
    {
      method: 'POST',
      pattern: '/configurations/testQueries',
      handler: () => {
        throw notEmulated('Testing the queries of a configuration');
      },
    },
    {
      method: 'GET',
      pattern: '/configurations',
      handler: () => ({ status: 200, body: configurations.list().map((item) => view(configurations, item)) }),
    },
    {
      method: 'GET',
      pattern: '/configurations/:id',
      handler: (request) => ({ status: 200, body: view(configurations, required(configurations, request)) }),
    },
    { method: 'PUT', pattern: '/configurations/:id', handler: (request) => put(configurations, request) },
    {
      method: 'DELETE',
      pattern: '/configurations/:id',
      handler: async (request) => {
        const item = required(configurations, request);
        checkIfMatch(request, configurationEtag(item));
        await configurations.remove(item.id);
        return { status: 204 };
      },
    },
  ];
}
