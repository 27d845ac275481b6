import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

import type { EdgeLog } from '../edge-log.ts';
import { noLog } from '../edge-log.ts';
import { authorize } from './authorization.ts';
import { configurationRoutes } from './configuration-routes.ts';
import { openConfigurationStore } from './configuration-store.ts';
import { createConfigurations } from './configurations.ts';
import { openDeviceTwin } from './device-twin.ts';
import { methodRoutes } from './method-routes.ts';
import { queryRoutes } from './query-routes.ts';
import { registryRoutes } from './registry-routes.ts';
import type { Reply } from './replies.ts';
import { ServiceError, errorReply, notEmulated, send } from './replies.ts';
import { readBody } from './request.ts';
import type { Route } from './router.ts';
import { createRouter } from './router.ts';
import type { ServiceApiOptions } from './service-api-options.ts';
import { twinRoutes } from './twin-routes.ts';

export const POLICY_NAME = 'iothubowner';

export interface ServiceDispatcher {
  readonly request: (request: IncomingMessage, response: ServerResponse) => void;
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
}

const NOT_EMULATED: readonly (readonly [pattern: string, what: string])[] = [
  ['/jobs/*', 'Jobs'],
  ['/digitaltwins/*', 'Digital twins'],
  ['/messages/*', 'Cloud-to-device messaging and file upload'],
  ['/devices/:device/commands', 'Cloud-to-device messaging'],
];

function routesOf(options: ServiceApiOptions): Route[] {
  const { hub } = options;
  const store = openConfigurationStore(options.stateDir);
  const device = openDeviceTwin(options.stateDir, hub.deviceId, options.now ?? Date.now);
  const configurations = createConfigurations(hub, device, store);
  return [
    ...methodRoutes(hub),
    ...twinRoutes(hub, device, () => configurations.reconcile()),
    ...queryRoutes(hub, device),
    ...configurationRoutes(hub, configurations, store),
    ...registryRoutes(hub),
    ...NOT_EMULATED.map(([pattern, what]) => ({
      method: 'ANY',
      pattern,
      handler: () => {
        throw notEmulated(what);
      },
    })),
  ];
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function failureReply(error: unknown, log: EdgeLog): Reply {
  if (error instanceof ServiceError) return errorReply(error);
  log(
    'error',
    `service API: a request failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
  );
  return errorReply(new ServiceError(500, 'ServerError', 'An internal error of the local edge, see its log'));
}

/** Sends requests to edgeHub or to the routes of IoT Hub, and turns every failure into IoT Hub's error bodies. */
export function createDispatcher(options: ServiceApiOptions): ServiceDispatcher {
  const { hub, log = noLog } = options;
  const match = createRouter(routesOf(options));
  const policy = { hostName: hub.hostName, name: POLICY_NAME, key: options.policyKey };
  const now = options.now ?? Date.now;

  const serve = async (request: IncomingMessage): Promise<Reply> => {
    const url = request.url ?? '/';
    const queryAt = url.indexOf('?');
    const path = queryAt < 0 ? url : url.slice(0, queryAt);
    const method = request.method ?? 'GET';
    // Read first: a client that is still sending does not listen to a refusal.
    const body = await readBody(request);
    const authorization = authorize(header(request, 'authorization'), policy, path, now());
    if (!authorization.ok) {
      log('warn', `service API: ${method} ${path} is refused: ${authorization.reason}`);
      throw new ServiceError(401, 'IotHubUnauthorizedAccess', 'Unauthorized');
    }
    if (!new URLSearchParams(queryAt < 0 ? '' : url.slice(queryAt)).get('api-version')) {
      throw new ServiceError(400, 'InvalidProtocolVersion', 'The query needs an api-version');
    }
    const found = match(method, path);
    if (found.kind === 'none') throw notEmulated(`${method} ${path}`);
    if (found.kind === 'otherMethod') {
      throw new ServiceError(
        405,
        'MethodNotAllowed',
        `${method} is not allowed here, only ${found.allowed.join(', ')}`,
      );
    }
    return found.handler({
      method,
      path,
      parameters: found.parameters,
      header: (name) => header(request, name),
      body,
    });
  };

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let reply: Reply;
    try {
      if (header(request, 'x-ms-edge-moduleid') !== undefined && options.edgeHubHandler !== undefined) {
        await options.edgeHubHandler(request, response);
        return;
      }
      reply = await serve(request);
    } catch (error) {
      reply = failureReply(error, log);
    }
    if (!response.headersSent) send(response, reply);
  };

  return {
    request: (request, response) => {
      // Fails only when the client has gone, whom nothing can be told any more.
      answer(request, response).catch(() => response.destroy());
    },
    upgrade: (request, socket, head) => {
      const protocols = (header(request, 'sec-websocket-protocol') ?? '')
        .split(',')
        .map((name) => name.trim());
      if (protocols.includes('mqtt') && options.edgeHubUpgrade !== undefined) {
        options.edgeHubUpgrade(request, socket, head);
        return;
      }
      socket.on('error', () => undefined);
      socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    },
  };
}
