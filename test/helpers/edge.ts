import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCertificates } from '../../local-edge/src/certificates.ts';
import type { EdgeHub, EdgeHubLimits } from '../../local-edge/src/edgehub/edge-hub.ts';
import { createEdgeHub } from '../../local-edge/src/edgehub/edge-hub.ts';
import type { JsonValue, MethodOutcome } from '../../local-edge/src/hub/hub-api.ts';
import type { HubCore } from '../../local-edge/src/hub/hub.ts';
import { createHub } from '../../local-edge/src/hub/hub.ts';
import type { WorkloadApi } from '../../local-edge/src/workload/workload-api.ts';
import { createWorkloadApi } from '../../local-edge/src/workload/workload-api.ts';

/** The local edge's IoT Hub, edgeHub and workload API in this process, on loopback and in a folder of their own. */
export interface TestEdge {
  readonly hub: HubCore;
  readonly edgeHub: EdgeHub;
  readonly workload: WorkloadApi;
  /** What edgeAgent would put into the environment of the module, for a new or a known module id. */
  environment(moduleId: string): Promise<Record<string, string>>;
  /** As the cloud calls a method; 2 s for the answer. */
  invoke(moduleId: string, methodName: string, payload?: JsonValue): Promise<MethodOutcome>;
  /** Connections of the module since the start, as the hub sees them. */
  connects(moduleId: string): number;
  stop(): Promise<void>;
}

export async function startTestEdge(limits: Partial<EdgeHubLimits> = {}): Promise<TestEdge> {
  const stateDir = await mkdtemp(join(tmpdir(), 'edge-'));
  const connects = new Map<string, number>();
  const hub = createHub({ stateDir, deviceId: 'local-edge', hostName: 'localhost' });
  const certificates = await createCertificates(stateDir);
  const edgeHub = createEdgeHub({ hub, certificates, port: 0, limits: { methodSettleMs: 0, ...limits } });
  const workload = createWorkloadApi({ hub, certificates });
  const setConnected = hub.identities.setConnected.bind(hub.identities);
  hub.identities.setConnected = (moduleId, connected) => {
    if (connected) connects.set(moduleId, (connects.get(moduleId) ?? 0) + 1);
    setConnected(moduleId, connected);
  };
  await edgeHub.start();

  return {
    hub,
    edgeHub,
    workload,
    async environment(moduleId) {
      const identity = hub.identities.add(moduleId);
      return {
        IOTEDGE_WORKLOADURI: `unix://${await workload.listen(moduleId)}`,
        IOTEDGE_DEVICEID: identity.deviceId,
        IOTEDGE_MODULEID: moduleId,
        IOTEDGE_MODULEGENERATIONID: identity.generationId,
        IOTEDGE_IOTHUBHOSTNAME: hub.hostName,
        IOTEDGE_AUTHSCHEME: 'sasToken',
        IOTEDGE_GATEWAYHOSTNAME: `localhost:${edgeHub.port}`,
      };
    },
    invoke: (moduleId, methodName, payload = null) =>
      hub.methods.invoke({ moduleId, methodName, payload, responseTimeoutMs: 2000, connectTimeoutMs: 0 }),
    connects: (moduleId) => connects.get(moduleId) ?? 0,
    async stop() {
      await edgeHub.stop();
      await workload.stop();
      await rm(stateDir, { recursive: true, force: true });
    },
  };
}
