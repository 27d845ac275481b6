import { readFileSync } from 'node:fs';
import { request } from 'node:https';

import { EdgeError } from '../errors.ts';
import type { JsonValue } from '../hub/hub-api.ts';
import { sign } from '../hub/sas-token.ts';
import type { HubFacts } from '../hub-facts.ts';

export interface ServiceAnswer {
  readonly status: number;
  readonly errorName: string | undefined;
  readonly body: JsonValue;
}

/** Calls the service API as any service client does: HTTPS, a SAS token of the policy, the local CA. */
export interface ServiceClient {
  readonly hub: HubFacts;
  call(method: string, path: string, options?: CallOptions): Promise<ServiceAnswer>;
}

export interface CallOptions {
  readonly body?: JsonValue;
  readonly ifMatch?: string;
}

const API_VERSION = '2021-04-12';

function authorization(hub: HubFacts): string {
  const fields = new Map(
    hub.serviceConnectionString.split(';').map((part) => {
      const equals = part.indexOf('=');
      return [part.slice(0, equals), part.slice(equals + 1)] as const;
    }),
  );
  const resource = encodeURIComponent(fields.get('HostName') ?? hub.hostName);
  const expiry = Math.floor(Date.now() / 1000) + 600;
  const signature = sign(fields.get('SharedAccessKey') ?? '', `${resource}\n${expiry}`);
  const policy = encodeURIComponent(fields.get('SharedAccessKeyName') ?? '');
  return `SharedAccessSignature sr=${resource}&sig=${encodeURIComponent(signature)}&se=${expiry}&skn=${policy}`;
}

function unreachable(hub: HubFacts, error: Error): EdgeError {
  return new EdgeError(
    'NOT_RUNNING',
    `the service API of the local edge does not answer on port ${hub.port} (${error.message}); ` +
      'look at the output of `npx edge start`, and start it again if it has ended',
    { cause: error },
  );
}

function parse(text: string): JsonValue {
  if (text === '') return null;
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return text;
  }
}

export function createServiceClient(hub: HubFacts): ServiceClient {
  const ca = readFileSync(hub.caFile);
  return {
    hub,
    call: (method, path, options = {}) =>
      new Promise((resolve, reject) => {
        const text = options.body === undefined ? undefined : JSON.stringify(options.body);
        const call = request(
          {
            host: '127.0.0.1',
            servername: hub.hostName,
            port: hub.port,
            ca,
            method,
            path: `${path}?api-version=${API_VERSION}`,
            agent: false,
            headers: {
              host: hub.hostName,
              authorization: authorization(hub),
              ...(text === undefined
                ? {}
                : {
                    'content-type': 'application/json; charset=utf-8',
                    'content-length': Buffer.byteLength(text),
                  }),
              ...(options.ifMatch === undefined ? {} : { 'if-match': options.ifMatch }),
            },
          },
          (response) => {
            let reply = '';
            response.setEncoding('utf8');
            response.on('data', (chunk: string) => (reply += chunk));
            response.on('error', reject);
            response.on('end', () => {
              const errorName = response.headers['iothub-errorcode'];
              resolve({
                status: response.statusCode ?? 0,
                errorName: typeof errorName === 'string' ? errorName : undefined,
                body: parse(reply),
              });
            });
          },
        );
        call.on('error', (error) => reject(unreachable(hub, error)));
        call.end(text);
      }),
  };
}
