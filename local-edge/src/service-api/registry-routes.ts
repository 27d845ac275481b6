import type { Hub, JsonObject, JsonValue, ModuleIdentity } from '../hub/hub-api.ts';
import { isObject } from '../hub/twin-merge.ts';
import { refuseSystemModule, requireDevice, requireModule } from './lookup.ts';
import type { Reply } from './replies.ts';
import { ServiceError, notEmulated } from './replies.ts';
import type { ServiceRequest } from './request.ts';
import { badArgument, checkIfMatch, parameter, parseObject } from './request.ts';
import type { Route } from './router.ts';
import { deviceView, moduleView } from './views.ts';

/** Ids as IoT Hub takes them. */
const MODULE_ID = /^[A-Za-z0-9\-:.+%_#*?!(),=@;$']{1,128}$/;

interface GivenKeys {
  readonly primaryKey?: string;
  readonly secondaryKey?: string;
}

function key(value: JsonValue | undefined, name: string): string | undefined {
  // Empty keys ask the hub to make them.
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value !== 'string' || !/^[A-Za-z0-9+/]+={0,2}$/.test(value))
    throw badArgument(`${name} must be base64`);
  return value;
}

/** Keys that the body asks for; only symmetric keys exist here. */
function givenKeys(body: JsonObject): GivenKeys {
  const authentication = body['authentication'];
  if (authentication === undefined || authentication === null) return {};
  if (!isObject(authentication)) throw badArgument('authentication must be a JSON object');
  const type = authentication['type'] ?? 'sas';
  if (type !== 'sas' && type !== 'none')
    throw notEmulated(`Authentication of type ${JSON.stringify(type)}`, 400);
  const symmetric = authentication['symmetricKey'];
  if (!isObject(symmetric)) return {};
  const primaryKey = key(symmetric['primaryKey'], 'primaryKey');
  const secondaryKey = key(symmetric['secondaryKey'], 'secondaryKey');
  return {
    ...(primaryKey === undefined ? {} : { primaryKey }),
    ...(secondaryKey === undefined ? {} : { secondaryKey }),
  };
}

function sameId(body: JsonObject, name: string, id: string): void {
  const given = body[name];
  if (given !== undefined && given !== id)
    throw badArgument(`${name} of the body is not the one of the path`);
}

function updateModule(hub: Hub, request: ServiceRequest, current: ModuleIdentity, body: JsonObject): Reply {
  if (request.header('if-match') === undefined) {
    throw new ServiceError(
      409,
      'ModuleAlreadyExistsOnDevice',
      `Module ${current.moduleId} already registered on device ${hub.deviceId}`,
    );
  }
  refuseSystemModule(current.moduleId);
  checkIfMatch(request, current.etag);
  const keys = givenKeys(body);
  const changed =
    (keys.primaryKey ?? current.primaryKey) !== current.primaryKey ||
    (keys.secondaryKey ?? current.secondaryKey) !== current.secondaryKey ||
    (body['managedBy'] ?? current.managedBy) !== current.managedBy;
  if (changed) {
    throw notEmulated(
      'Changing the keys or managedBy of an identity (remove the module and add it again)',
      400,
    );
  }
  return { status: 200, body: moduleView(hub, current) };
}

function putModule(hub: Hub, request: ServiceRequest): Reply {
  requireDevice(hub, request);
  const moduleId = parameter(request, 'module');
  const body = parseObject(request);
  sameId(body, 'deviceId', hub.deviceId);
  sameId(body, 'moduleId', moduleId);
  const current = hub.identities.get(moduleId);
  if (current !== undefined) return updateModule(hub, request, current, body);
  if (request.header('if-match') !== undefined) requireModule(hub, request);
  if (!MODULE_ID.test(moduleId)) {
    throw badArgument("A module id has 1 to 128 ASCII letters, digits and - : . + % _ # * ? ! ( ) , = @ $ '");
  }
  const managedBy = body['managedBy'];
  const added = hub.identities.add(moduleId, {
    ...givenKeys(body),
    managedBy: typeof managedBy === 'string' && managedBy !== '' ? managedBy : null,
  });
  return { status: 200, body: moduleView(hub, added) };
}

function putDevice(hub: Hub, request: ServiceRequest): Reply {
  const deviceId = parameter(request, 'device');
  if (deviceId !== hub.deviceId) {
    throw new ServiceError(
      403,
      'TooManyDevices',
      `The local edge has one device, ${hub.deviceId}, and creating others is not emulated`,
    );
  }
  const body = parseObject(request);
  if (request.header('if-match') === undefined) {
    throw new ServiceError(
      409,
      'DeviceAlreadyExists',
      `A device with ID '${deviceId}' is already registered.`,
    );
  }
  const { primary, secondary } = hub.identities.deviceKeys;
  const keys = givenKeys(body);
  const capabilities = body['capabilities'];
  const changed =
    (keys.primaryKey ?? primary) !== primary ||
    (keys.secondaryKey ?? secondary) !== secondary ||
    (body['status'] ?? 'enabled') !== 'enabled' ||
    (isObject(capabilities) && capabilities['iotEdge'] === false);
  if (changed) throw notEmulated('Changing keys, status or capabilities of the device', 400);
  return { status: 200, body: deviceView(hub) };
}

/** The one device and its module identities. */
export function registryRoutes(hub: Hub): Route[] {
  const modulePattern = '/devices/:device/modules/:module';
  return [
    {
      method: 'GET',
      pattern: '/devices/:device/modules',
      handler: (request) => {
        requireDevice(hub, request);
        return { status: 200, body: hub.identities.list().map((identity) => moduleView(hub, identity)) };
      },
    },
    {
      method: 'GET',
      pattern: modulePattern,
      handler: (request) => ({ status: 200, body: moduleView(hub, requireModule(hub, request)) }),
    },
    { method: 'PUT', pattern: modulePattern, handler: (request) => putModule(hub, request) },
    {
      method: 'DELETE',
      pattern: modulePattern,
      handler: (request) => {
        const { moduleId, etag } = requireModule(hub, request);
        refuseSystemModule(moduleId);
        checkIfMatch(request, etag);
        hub.identities.remove(moduleId);
        return { status: 204 };
      },
    },
    { method: 'GET', pattern: '/devices', handler: () => ({ status: 200, body: [deviceView(hub)] }) },
    {
      method: 'POST',
      pattern: '/devices',
      handler: () => {
        throw notEmulated('Creating, changing or removing devices in bulk', 400);
      },
    },
    {
      method: 'GET',
      pattern: '/devices/:device',
      handler: (request) => {
        requireDevice(hub, request);
        return { status: 200, body: deviceView(hub) };
      },
    },
    { method: 'PUT', pattern: '/devices/:device', handler: (request) => putDevice(hub, request) },
    {
      method: 'DELETE',
      pattern: '/devices/:device',
      handler: (request) => {
        requireDevice(hub, request);
        throw notEmulated('Removing the device (stop the local edge and delete its state folder)', 400);
      },
    },
    {
      method: 'GET',
      pattern: '/statistics/devices',
      handler: () => ({
        status: 200,
        body: { totalDeviceCount: 1, enabledDeviceCount: 1, disabledDeviceCount: 0 },
      }),
    },
    {
      method: 'GET',
      pattern: '/statistics/service',
      handler: () => ({ status: 200, body: { connectedDeviceCount: 1 } }),
    },
  ];
}
