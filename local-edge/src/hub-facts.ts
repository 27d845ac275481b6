import { randomBytes } from 'node:crypto';
import { readStateFile, writeStateFile } from './state-file.ts';

/** What a running local edge is reached by; also the content of `hub.json`. */
export interface HubFacts {
  readonly hostName: string;
  readonly port: number;
  readonly deviceId: string;
  readonly gatewayHostName: string;
  readonly edgeHubPort: number;
  /** 443, or null when it could not be bound. */
  readonly httpsPort: number | null;
  readonly serviceConnectionString: string;
  readonly serviceConnectionStringWithPort: string;
  readonly caFile: string;
  readonly controlSocket: string;
  readonly pid: number;
}

export type KnownFacts = Omit<
  HubFacts,
  'serviceConnectionString' | 'serviceConnectionStringWithPort' | 'pid'
>;

export function describeHub(facts: KnownFacts, policyKey: string): HubFacts {
  const key = `SharedAccessKeyName=iothubowner;SharedAccessKey=${policyKey}`;
  return {
    ...facts,
    serviceConnectionString: `HostName=${facts.hostName};${key}`,
    serviceConnectionStringWithPort: `HostName=${facts.hostName}:${facts.port};${key}`,
    pid: process.pid,
  };
}

/** The key of the service policy; made once, so that clients need to be told once. */
export function readPolicyKey(file: string): string {
  const stored = readStateFile(file);
  if (typeof stored === 'object' && stored !== null && 'iothubowner' in stored) {
    if (typeof stored.iothubowner === 'string') return stored.iothubowner;
  }
  const key = randomBytes(32).toString('base64');
  writeStateFile(file, { iothubowner: key });
  return key;
}
