import { join } from 'node:path';
import { injectedEnvironment } from './agent/launch-plan.ts';
import { createCertificates } from './certificates.ts';
import { choosePorts, standardPorts } from './choose-ports.ts';
import type { PortWishes } from './choose-ports.ts';
import { createEdgeHub } from './edgehub/edge-hub.ts';
import type { EdgeLog } from './edge-log.ts';
import { EdgeError } from './errors.ts';
import { describeHub, readPolicyKey } from './hub-facts.ts';
import type { HubFacts } from './hub-facts.ts';
import { createHub } from './hub/hub.ts';
import type { HubCore } from './hub/hub.ts';
import { openNetworkTable, preloadUrl } from './net/net-table.ts';
import type { NetworkTable } from './net/net-table.ts';
import { createServiceApi } from './service-api/service-api.ts';
import { openSocketFolder } from './workload/socket-folder.ts';
import { createWorkloadApi } from './workload/workload-api.ts';

const host = '127.0.0.1';
const hostName = 'localhost';

export interface DeviceOptions extends PortWishes {
  readonly stateDir: string;
  readonly deviceId: string;
  /** Whether to try 443, the port of method calls between modules and of service clients that take no port. */
  readonly https: boolean;
  /** Name and address of this machine for modules that are containers. */
  readonly gateway?: { readonly name: string; readonly address: string };
  readonly log: EdgeLog;
  readonly say: (line: string) => void;
}

/** The device and its IoT Hub without any module: what listens, and what a module needs to connect. */
export interface Device {
  readonly hub: HubCore;
  readonly table: NetworkTable;
  readonly facts: HubFacts;
  /** What edgeAgent injects into the environment of a module with an identity. */
  environmentOf(moduleId: string): Promise<Record<string, string>>;
  /** The same for a module that is started by hand; one without an identity is registered. */
  environmentByHand(moduleId: string): Promise<Record<string, string>>;
  forget(moduleId: string): Promise<void>;
}

/** Opens the device; what has to be stopped later is handed over as soon as it runs. */
export async function openDevice(
  options: DeviceOptions,
  onStop: (stop: () => Promise<void>) => void,
): Promise<Device> {
  const { stateDir, log } = options;
  const ports = await choosePorts(options, options.say);
  const { gateway } = options;
  const certificates = await createCertificates(stateDir, gateway === undefined ? [] : [gateway.name]);
  const hub = createHub({ stateDir, deviceId: options.deviceId, hostName, gatewayHostName: hostName, log });
  const edgeHub = createEdgeHub({
    hub,
    certificates,
    port: ports.edgeHub,
    host,
    ...(gateway === undefined ? {} : { alsoOn: gateway.address }),
  });
  await edgeHub.start();
  onStop(() => edgeHub.stop());
  const workload = createWorkloadApi({ hub, certificates });
  onStop(() => workload.stop());
  // Modules that are started by hand find their socket again after a restart.
  for (const { moduleId } of hub.identities.list())
    if (!moduleId.startsWith('$')) await workload.listen(moduleId);

  const policyKey = readPolicyKey(join(stateDir, 'service-key.json'));
  const service = createServiceApi({
    hub,
    policyKey,
    certificates: { key: certificates.serverKeyPem, cert: certificates.serverCertPem },
    port: ports.service,
    host,
    stateDir,
    edgeHubHandler: (request, response) => edgeHub.handleRequest(request, response),
    edgeHubUpgrade: (request, socket, head) => edgeHub.handleUpgrade(request, socket, head),
    log,
  });
  await service.start();
  onStop(() => service.stop());
  const httpsBound = options.https && (await service.listenAlso(standardPorts.https));
  // The only port on which an SDK calls the methods of another module.
  if (gateway !== undefined && !(await service.listenAlso(standardPorts.https, gateway.address)))
    log(
      'warn',
      `port 443 of ${gateway.address} cannot be had, so that containers cannot call each other's methods`,
    );
  const table = openNetworkTable(join(stateDir, 'net.json'));
  nameGateway(table, { edgeHub: edgeHub.port, https: httpsBound ? standardPorts.https : service.port });

  const environment = async (moduleId: string): Promise<Record<string, string>> => {
    const identity = hub.identities.get(moduleId);
    if (identity === undefined) throw new EdgeError('NOT_FOUND', `There is no identity ${moduleId}.`);
    const workloadUri = `unix://${await workload.listen(moduleId)}`;
    const { generationId } = identity;
    return injectedEnvironment({
      deviceId: hub.deviceId,
      moduleId,
      generationId,
      hostName,
      gatewayHostName: hostName,
      workloadUri,
    });
  };
  return {
    hub,
    table,
    facts: describeHub(
      {
        hostName,
        port: service.port,
        deviceId: hub.deviceId,
        gatewayHostName: hostName,
        edgeHubPort: edgeHub.port,
        httpsPort: httpsBound ? standardPorts.https : null,
        caFile: certificates.caFile,
        controlSocket: join(openSocketFolder(stateDir), 'control.sock'),
      },
      policyKey,
    ),
    environmentOf: environment,
    async environmentByHand(moduleId) {
      hub.identities.add(moduleId, { managedBy: null });
      // Lets a Node program reach the gateway and the other modules by name and standard port; programs in other languages are
      // not changed by it.
      return { ...(await environment(moduleId)), NODE_OPTIONS: `--import=${preloadUrl(table.file)}` };
    },
    forget: (moduleId) => workload.close(moduleId),
  };
}

/** Modules reach the gateway on its standard ports by its name, wherever it really listens. */
function nameGateway(table: NetworkTable, ports: { readonly edgeHub: number; readonly https: number }): void {
  for (const name of [hostName, 'edgeHub']) {
    if (name !== hostName || ports.edgeHub !== standardPorts.edgeHub) {
      table.set(name, standardPorts.edgeHub, ports.edgeHub);
    }
    if (name !== hostName || ports.https !== standardPorts.https)
      table.set(name, standardPorts.https, ports.https);
  }
}
