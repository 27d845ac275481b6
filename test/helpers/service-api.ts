import { createHmac, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createCertificates } from '../../local-edge/src/certificates.ts';
import type { HubCore } from '../../local-edge/src/hub/hub.ts';
import { createHub } from '../../local-edge/src/hub/hub.ts';
import type { JsonValue } from '../../local-edge/src/hub/hub-api.ts';
import type { ServiceApi } from '../../local-edge/src/service-api/service-api.ts';
import type { ServiceApiOptions } from '../../local-edge/src/service-api/service-api-options.ts';
import { createServiceApi } from '../../local-edge/src/service-api/service-api.ts';

export interface ServiceReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The parsed body; undefined when there is none. */
  readonly body: JsonValue | undefined;
}

export interface ServiceRequestOptions {
  /** Sent as JSON, or as it is when a string. */
  readonly body?: JsonValue;
  readonly headers?: Readonly<Record<string, string>>;
  /** An `Authorization` header; null sends none. */
  readonly authorization?: string | null;
}

export interface ServiceFixture {
  readonly hub: HubCore;
  readonly api: ServiceApi;
  readonly dir: string;
  readonly caFile: string;
  readonly policyKey: string;
  readonly connectionString: string;
  call(method: string, path: string, options?: ServiceRequestOptions): Promise<ServiceReply>;
  stop(): Promise<void>;
}

/** A token as service clients make it; the text of `sr` is signed as it is given. */
export function serviceToken(
  key: string,
  sr: string,
  options: { skn?: string | null; se?: number } = {},
): string {
  const se = options.se ?? Math.floor(Date.now() / 1000) + 600;
  const sig = createHmac('sha256', Buffer.from(key, 'base64')).update(`${sr}\n${se}`).digest('base64');
  const skn = options.skn === null ? '' : `&skn=${options.skn ?? 'iothubowner'}`;
  return `SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(sig)}&se=${se}${skn}`;
}

/** The service API over a hub of its own, both on this machine and in a folder that goes away. */
export async function startServiceApi(options: Partial<ServiceApiOptions> = {}): Promise<ServiceFixture> {
  const dir = mkdtempSync(join(tmpdir(), 'service-api-'));
  const { caFile, caPem, serverKeyPem, serverCertPem } = await createCertificates(dir);
  const hub = createHub({ stateDir: dir, deviceId: 'dev-1', hostName: 'localhost' });
  const policyKey = randomBytes(32).toString('base64');
  const api = createServiceApi({
    hub,
    policyKey,
    certificates: { key: serverKeyPem, cert: serverCertPem },
    port: 0,
    host: '127.0.0.1',
    stateDir: dir,
    ...options,
  });
  await api.start();
  const call = (method: string, path: string, given: ServiceRequestOptions = {}): Promise<ServiceReply> =>
    new Promise((resolve, reject) => {
      const authorization =
        given.authorization === undefined ? serviceToken(policyKey, 'localhost') : given.authorization;
      const text = typeof given.body === 'string' ? given.body : JSON.stringify(given.body);
      const request = httpsRequest(
        {
          host: '127.0.0.1',
          servername: 'localhost',
          port: api.port,
          ca: caPem,
          method,
          path: path.includes('api-version')
            ? path
            : `${path}${path.includes('?') ? '&' : '?'}api-version=2021-04-12`,
          headers: {
            ...(authorization === null ? {} : { authorization }),
            ...(given.body === undefined ? {} : { 'content-type': 'application/json; charset=utf-8' }),
            ...given.headers,
          },
        },
        (response) => {
          let reply = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => (reply += chunk));
          response.on('end', () => {
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              text: reply,
              body: reply === '' ? undefined : (JSON.parse(reply) as JsonValue),
            });
          });
        },
      );
      request.on('error', reject);
      request.end(given.body === undefined ? undefined : text);
    });
  return {
    hub,
    api,
    dir,
    caFile,
    policyKey,
    connectionString: `HostName=localhost;SharedAccessKeyName=iothubowner;SharedAccessKey=${policyKey}`,
    call,
    stop: async () => {
      await api.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
