import type { Mistake } from '../errors.ts';
import { ConfigError } from '../errors.ts';

/** How tokens are made: by the workload API of the device, or with the key of a development connection string. */
export type AzureAuth =
  | { readonly kind: 'workload'; readonly uri: URL; readonly generationId: string }
  | { readonly kind: 'key'; readonly key: string; readonly keyName?: string; readonly caFile?: string };

export interface AzureSettings {
  readonly deviceId: string;
  readonly moduleId: string;
  readonly hubHostName: string;
  /** The host to dial, `host:port` allowed; without it the IoT hub itself is dialled. */
  readonly gatewayHostName?: string;
  readonly auth: AzureAuth;
}

export type Environment = Readonly<Record<string, string | undefined>>;

const CONNECTION_STRINGS = ['EdgeHubConnectionString', 'IotHubConnectionString'] as const;

/** Reads what edgeAgent (or a development tool) puts into the environment. Throws a ConfigError with everything that is missing. */
export function readAzureSettings(environment: Environment): AzureSettings {
  for (const name of CONNECTION_STRINGS) {
    const text = environment[name];
    if (text) return fromConnectionString(name, text, environment['EdgeModuleCACertificateFile']);
  }
  return fromAgent(environment);
}

function fromAgent(environment: Environment): AzureSettings {
  const mistakes: Mistake[] = [];
  const need = (name: string, what: string): string => {
    const value = environment[name];
    if (value) return value;
    mistakes.push({ origin: 'environment', name, problem: `is not set; edgeAgent sets it to ${what}` });
    return '';
  };
  const workload = need('IOTEDGE_WORKLOADURI', 'the address of the workload API, unix:///… or http://…');
  const deviceId = need('IOTEDGE_DEVICEID', 'the id of the device');
  const moduleId = need('IOTEDGE_MODULEID', 'the id of the module');
  const hubHostName = need('IOTEDGE_IOTHUBHOSTNAME', 'the host name of the IoT hub');
  const scheme = need('IOTEDGE_AUTHSCHEME', 'sasToken');
  const generationId = need('IOTEDGE_MODULEGENERATIONID', 'the generation id of the module');
  if (scheme && scheme.toLowerCase() !== 'sastoken') {
    mistakes.push({ origin: 'environment', name: 'IOTEDGE_AUTHSCHEME', problem: 'must be sasToken' });
  }
  const uri = URL.parse(workload);
  if (workload && uri?.protocol !== 'unix:' && uri?.protocol !== 'http:') {
    mistakes.push({
      origin: 'environment',
      name: 'IOTEDGE_WORKLOADURI',
      problem: 'must be unix:///path or http://host:port',
    });
  }
  if (mistakes.length > 0 || uri === null) throw new ConfigError(mistakes);
  const gatewayHostName = environment['IOTEDGE_GATEWAYHOSTNAME'];
  return {
    deviceId,
    moduleId,
    hubHostName,
    ...(gatewayHostName ? { gatewayHostName } : {}),
    auth: { kind: 'workload', uri, generationId },
  };
}

function fromConnectionString(variable: string, text: string, caFile: string | undefined): AzureSettings {
  // A base64 key may itself hold `=`, so only the first one separates.
  const parts = new Map(
    text.split(';').map((part) => {
      const at = part.indexOf('=');
      return [part.slice(0, Math.max(at, 0)).trim(), part.slice(at + 1)] as const;
    }),
  );
  const mistakes: Mistake[] = [];
  const need = (key: string): string => {
    const value = parts.get(key);
    if (value) return value;
    mistakes.push({ origin: 'environment', name: variable, problem: `holds no ${key}=…` });
    return '';
  };
  const hubHostName = need('HostName');
  const deviceId = need('DeviceId');
  const moduleId = need('ModuleId');
  const key = need('SharedAccessKey');
  if (mistakes.length > 0) throw new ConfigError(mistakes);
  const keyName = parts.get('SharedAccessKeyName');
  const gatewayHostName = parts.get('GatewayHostName');
  return {
    deviceId,
    moduleId,
    hubHostName,
    ...(gatewayHostName ? { gatewayHostName } : {}),
    auth: { kind: 'key', key, ...(keyName ? { keyName } : {}), ...(caFile ? { caFile } : {}) },
  };
}
