import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { createCertificates, type Certificates } from '../../local-edge/src/certificates.ts';
import { createEdgeHub, type EdgeHub, type EdgeHubLimits } from '../../local-edge/src/edgehub/edge-hub.ts';
import type { EdgeLogLevel } from '../../local-edge/src/edge-log.ts';
import type { JsonValue } from '../../local-edge/src/hub/hub-api.ts';
import { createHub, type HubCore } from '../../local-edge/src/hub/hub.ts';
import { createWorkloadApi, type WorkloadApi } from '../../local-edge/src/workload/workload-api.ts';

export interface LogLine {
  readonly level: EdgeLogLevel;
  readonly message: string;
}

/** IoT Hub core, edgeHub and workload API on free ports, as one process of the local edge has them. */
export interface EdgeBed {
  readonly stateDir: string;
  readonly certificates: Certificates;
  hub: HubCore;
  edgeHub: EdgeHub;
  workload: WorkloadApi;
  readonly log: LogLine[];
  /** Ends everything and starts it again on the same state and the same port. */
  restart(): Promise<void>;
  stop(): Promise<void>;
  /** Runs before everything ends, last one first: clients are to go while edgeHub is still there. */
  before(close: () => Promise<unknown>): void;
  /** The variables that a module is started with. */
  environment(moduleId: string): Promise<Record<string, string>>;
  deploy(options: { modules?: string[]; routes?: Record<string, JsonValue> }): Promise<void>;
}

export interface EdgeBedOptions {
  readonly limits?: Partial<EdgeHubLimits>;
  readonly now?: () => number;
}

export async function startEdgeBed(t: TestContext, options: EdgeBedOptions = {}): Promise<EdgeBed> {
  const stateDir = mkdtempSync(join(tmpdir(), 'edge-bed-'));
  const certificates = await createCertificates(stateDir);
  const log: LogLine[] = [];
  const served = new Set<string>();
  const closers: (() => Promise<unknown>)[] = [];
  const start = async (port: number) => {
    const { now = Date.now, limits = {} } = options;
    const hub = createHub({
      stateDir,
      deviceId: 'dev1',
      hostName: 'localhost',
      now,
      log: (level, message) => void log.push({ level, message }),
    });
    const edgeHub = createEdgeHub({ hub, certificates, port, limits, now });
    await edgeHub.start();
    return { hub, edgeHub, workload: createWorkloadApi({ hub, certificates }) };
  };
  const bed: EdgeBed = {
    stateDir,
    certificates,
    log,
    ...(await start(0)),
    async restart() {
      const { port } = bed.edgeHub;
      await bed.stop();
      Object.assign(bed, await start(port));
      for (const moduleId of served) await bed.workload.listen(moduleId);
    },
    async stop() {
      await bed.edgeHub.stop();
      await bed.workload.stop();
    },
    before(close) {
      closers.unshift(close);
    },
    async environment(moduleId) {
      const identity = bed.hub.identities.add(moduleId);
      served.add(moduleId);
      return {
        IOTEDGE_WORKLOADURI: `unix://${await bed.workload.listen(moduleId)}`,
        IOTEDGE_DEVICEID: 'dev1',
        IOTEDGE_MODULEID: moduleId,
        IOTEDGE_MODULEGENERATIONID: identity.generationId,
        IOTEDGE_IOTHUBHOSTNAME: 'localhost',
        IOTEDGE_GATEWAYHOSTNAME: `localhost:${bed.edgeHub.port}`,
        IOTEDGE_AUTHSCHEME: 'sasToken',
        IOTEDGE_APIVERSION: '2022-08-03',
      };
    },
    async deploy({ modules = [], routes = {} }) {
      const modulesContent: Record<string, Record<string, JsonValue>> = {
        $edgeHub: { 'properties.desired': { schemaVersion: '1.1', routes } },
      };
      for (const moduleId of modules) modulesContent[moduleId] = { 'properties.desired': {} };
      await bed.hub.applyConfiguration({ modulesContent });
    },
  };
  t.after(async () => {
    for (const close of closers) await close();
    await bed.stop();
    rmSync(stateDir, { recursive: true, force: true });
  });
  return bed;
}

/** A SAS token as the device SDKs make it. */
export function sasToken(
  bed: EdgeBed,
  moduleId: string,
  options: { host?: string; expiry?: number; key?: string } = {},
): string {
  const { host = 'localhost', expiry = Math.floor(Date.now() / 1000) + 3600 } = options;
  const key = options.key ?? bed.hub.identities.add(moduleId).primaryKey;
  const resource = encodeURIComponent(`${host}/devices/dev1/modules/${moduleId}`);
  const signature = createHmac('sha256', Buffer.from(key, 'base64'))
    .update(`${resource}\n${expiry}`)
    .digest('base64');
  return `SharedAccessSignature sr=${resource}&sig=${encodeURIComponent(signature)}&se=${expiry}`;
}

/** Waits until a condition holds; fails loudly when it does not in time. */
export async function until(what: string, holds: () => boolean, ms = 5000): Promise<void> {
  const end = Date.now() + ms;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
