import type { Hub, JsonObject, ModuleIdentity, Twin, TwinSection } from '../hub/hub-api.ts';

export const NEVER = '0001-01-01T00:00:00Z';

function section(part: TwinSection): JsonObject {
  return { ...part.properties, $metadata: part.metadata, $version: part.version };
}

function keys(primaryKey: string, secondaryKey: string): JsonObject {
  return {
    symmetricKey: { primaryKey, secondaryKey },
    x509Thumbprint: { primaryThumbprint: null, secondaryThumbprint: null },
    type: 'sas',
  };
}

/** A twin as service clients read it: always complete, since SDKs fail on a part that is missing. */
export function twinView(hub: Hub, twin: Twin, moduleId?: string): JsonObject {
  const connection = moduleId === undefined ? undefined : hub.identities.connection(moduleId);
  return {
    deviceId: hub.deviceId,
    ...(moduleId === undefined ? {} : { moduleId }),
    etag: twin.etag,
    deviceEtag: deviceEtag(hub, moduleId),
    status: 'enabled',
    statusUpdateTime: NEVER,
    connectionState: connection === undefined || connection.connected ? 'Connected' : 'Disconnected',
    lastActivityTime: connection?.lastActivityTime ?? NEVER,
    cloudToDeviceMessageCount: 0,
    authenticationType: 'sas',
    x509Thumbprint: { primaryThumbprint: null, secondaryThumbprint: null },
    modelId: '',
    version: twin.version,
    ...(Object.keys(twin.tags).length > 0 ? { tags: twin.tags } : {}),
    properties: { desired: section(twin.desired), reported: section(twin.reported) },
    ...(moduleId === undefined ? { capabilities: { iotEdge: true } } : {}),
  };
}

const DEVICE_ETAG = Buffer.from('1').toString('base64');

function deviceEtag(hub: Hub, moduleId: string | undefined): string {
  return (moduleId === undefined ? undefined : hub.identities.get(moduleId)?.etag) ?? DEVICE_ETAG;
}

/** A module identity with its keys. */
export function moduleView(hub: Hub, identity: ModuleIdentity): JsonObject {
  const connection = hub.identities.connection(identity.moduleId);
  return {
    moduleId: identity.moduleId,
    managedBy: identity.managedBy,
    deviceId: identity.deviceId,
    generationId: identity.generationId,
    etag: identity.etag,
    connectionState: connection.connected ? 'Connected' : 'Disconnected',
    connectionStateUpdatedTime: connection.stateUpdatedTime,
    lastActivityTime: connection.lastActivityTime,
    cloudToDeviceMessageCount: 0,
    authentication: keys(identity.primaryKey, identity.secondaryKey),
  };
}

/** The one device; its runtime is the local edge itself, so it is connected whenever somebody can ask. */
export function deviceView(hub: Hub): JsonObject {
  const generationId = hub.identities.get('$edgeAgent')?.generationId ?? '1';
  return {
    deviceId: hub.deviceId,
    generationId,
    etag: DEVICE_ETAG,
    connectionState: 'Connected',
    status: 'enabled',
    statusReason: null,
    connectionStateUpdatedTime: NEVER,
    statusUpdatedTime: NEVER,
    lastActivityTime: NEVER,
    cloudToDeviceMessageCount: 0,
    authentication: keys(hub.identities.deviceKeys.primary, hub.identities.deviceKeys.secondary),
    capabilities: { iotEdge: true },
    deviceScope: `ms-azure-iot-edge://${hub.deviceId}-${generationId}`,
    parentScopes: [],
  };
}
