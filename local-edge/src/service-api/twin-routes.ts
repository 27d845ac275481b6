import type { Hub, JsonObject, JsonValue, TwinResult } from '../hub/hub-api.ts';
import { isObject } from '../hub/twin-merge.ts';
import type { DeviceTwin } from './device-twin.ts';
import { refuseSystemModule, requireDevice, requireModule } from './lookup.ts';
import type { Reply } from './replies.ts';
import { ServiceError } from './replies.ts';
import type { ServiceRequest } from './request.ts';
import { badArgument, checkIfMatch, parseObject } from './request.ts';
import type { Route } from './router.ts';
import { twinView } from './views.ts';

export interface TwinChange {
  readonly desired?: JsonObject;
  readonly tags?: JsonObject;
}

function section(value: JsonValue | undefined, name: string): JsonObject | undefined {
  if (value === undefined || value === null) return undefined;
  if (!isObject(value)) throw badArgument(`${name} must be a JSON object`);
  return value;
}

/** The parts that a back end may write; what clients send back besides (etag, version, reported …) is read-only. */
export function writableParts(body: JsonObject): TwinChange {
  const properties = section(body['properties'], 'properties');
  const desired = section(properties?.['desired'], 'properties.desired');
  const tags = section(body['tags'], 'tags');
  const rest = Object.entries(desired ?? {}).filter(([key]) => key !== '$metadata' && key !== '$version');
  return {
    ...(desired === undefined ? {} : { desired: Object.fromEntries(rest) }),
    ...(tags === undefined ? {} : { tags }),
  };
}

function accepted(result: TwinResult): void {
  if (!result.ok) throw badArgument(result.problem);
}

type Change = 'patchDesired' | 'replaceDesired';

function changeModule(hub: Hub, request: ServiceRequest, how: Change): Reply {
  const { moduleId } = requireModule(hub, request);
  refuseSystemModule(moduleId);
  const change = writableParts(parseObject(request));
  checkIfMatch(request, moduleTwin(hub, moduleId).etag);
  if (change.desired !== undefined || change.tags !== undefined) accepted(hub.twins[how](moduleId, change));
  return { status: 200, body: twinView(hub, moduleTwin(hub, moduleId), moduleId) };
}

function moduleTwin(hub: Hub, moduleId: string) {
  const twin = hub.twins.get(moduleId);
  if (twin === undefined) throw new ServiceError(404, 'ModuleNotFound', `Module ${moduleId} has no twin`);
  return twin;
}

async function changeDevice(
  hub: Hub,
  device: DeviceTwin,
  tagged: () => Promise<void>,
  request: ServiceRequest,
  how: Change,
): Promise<Reply> {
  requireDevice(hub, request);
  const change = writableParts(parseObject(request));
  checkIfMatch(request, device.get().etag);
  if (change.desired !== undefined || change.tags !== undefined) accepted(device[how](change));
  if (change.tags !== undefined) await tagged();
  return { status: 200, body: twinView(hub, device.get()) };
}

/**
 * Twins of the modules and of the device. Every answer is the whole twin.
 * `tagged` is called after a change of the device's tags, by which deployments find their target.
 */
export function twinRoutes(hub: Hub, device: DeviceTwin, tagged: () => Promise<void>): Route[] {
  const modulePattern = '/twins/:device/modules/:module';
  const devicePattern = '/twins/:device';
  return [
    {
      method: 'GET',
      pattern: modulePattern,
      handler: (request) => {
        const { moduleId } = requireModule(hub, request);
        return { status: 200, body: twinView(hub, moduleTwin(hub, moduleId), moduleId) };
      },
    },
    {
      method: 'PATCH',
      pattern: modulePattern,
      handler: (request) => changeModule(hub, request, 'patchDesired'),
    },
    {
      method: 'PUT',
      pattern: modulePattern,
      handler: (request) => changeModule(hub, request, 'replaceDesired'),
    },
    {
      method: 'GET',
      pattern: devicePattern,
      handler: (request) => {
        requireDevice(hub, request);
        return { status: 200, body: twinView(hub, device.get()) };
      },
    },
    {
      method: 'PATCH',
      pattern: devicePattern,
      handler: (request) => changeDevice(hub, device, tagged, request, 'patchDesired'),
    },
    {
      method: 'PUT',
      pattern: devicePattern,
      handler: (request) => changeDevice(hub, device, tagged, request, 'replaceDesired'),
    },
  ];
}
