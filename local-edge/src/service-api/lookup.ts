import type { Hub, ModuleIdentity } from '../hub/hub-api.ts';
import { ServiceError } from './replies.ts';
import type { ServiceRequest } from './request.ts';
import { parameter } from './request.ts';

/** Ids are compared ordinally, as edgeHub does. */
export function requireDevice(hub: Hub, request: ServiceRequest): void {
  const deviceId = parameter(request, 'device');
  if (deviceId === hub.deviceId) return;
  throw new ServiceError(404, 'DeviceNotFound', `Device ${deviceId} not registered`);
}

export function requireModule(hub: Hub, request: ServiceRequest): ModuleIdentity {
  requireDevice(hub, request);
  const moduleId = parameter(request, 'module');
  const identity = hub.identities.get(moduleId);
  if (identity !== undefined) return identity;
  throw new ServiceError(
    404,
    'ModuleNotFound',
    `Module ${moduleId} on device ${hub.deviceId} not registered`,
  );
}

/** Only a deployment changes `$edgeAgent` and `$edgeHub`. */
export function refuseSystemModule(moduleId: string): void {
  if (moduleId !== '$edgeAgent' && moduleId !== '$edgeHub') return;
  throw new ServiceError(
    401,
    'SystemModuleModifyUnauthorizedAccess',
    'Unauthorized to modify reserved module.',
  );
}
