import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import type { LocalEdge } from '@iotedge-redis/local-edge';

/** Calls a direct method and resolves with the status that the module answered. */
export interface MethodCaller {
  call(moduleId: string, methodName: string, payload: string | null): Promise<number>;
  close(): void;
}

/** By the IoT Hub service API over HTTPS, on kept connections: the way that the portal, az and the service SDKs go. */
export function serviceCaller(edge: LocalEdge): MethodCaller {
  const { facts } = edge;
  const agent = new Agent({ keepAlive: true, ca: readFileSync(facts.caFile), servername: facts.hostName });
  const key = /SharedAccessKey=(.+)$/.exec(facts.serviceConnectionString)?.[1] ?? '';
  const expiry = Math.floor(Date.now() / 1000) + 3600;
  const signature = createHmac('sha256', Buffer.from(key, 'base64'))
    .update(`${facts.hostName}\n${expiry}`)
    .digest('base64');
  const authorization = `SharedAccessSignature sr=${facts.hostName}&sig=${encodeURIComponent(signature)}&se=${expiry}&skn=iothubowner`;
  return {
    call: (moduleId, methodName, payload) =>
      new Promise((resolve, reject) => {
        const body = JSON.stringify({
          methodName,
          payload,
          responseTimeoutInSeconds: 10,
          connectTimeoutInSeconds: 0,
        });
        const sent = request(
          {
            host: '127.0.0.1',
            port: facts.port,
            agent,
            method: 'POST',
            path: `/twins/${facts.deviceId}/modules/${moduleId}/methods?api-version=2021-04-12`,
            headers: {
              host: facts.hostName,
              authorization,
              'content-type': 'application/json',
              'content-length': Buffer.byteLength(body),
            },
          },
          (response) => {
            let text = '';
            response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
            response.on('end', () => {
              if (response.statusCode !== 200) resolve(response.statusCode ?? 0);
              else resolve((JSON.parse(text) as { status: number }).status);
            });
          },
        );
        sent.on('error', reject);
        sent.end(body);
      }),
    close: () => agent.destroy(),
  };
}

/** Straight at edgeHub's side of the local edge: without the cost of HTTPS, which is the same for every module and hides differences. */
export function edgeHubCaller(edge: LocalEdge): MethodCaller {
  return {
    async call(moduleId, methodName, payload) {
      const outcome = await edge.hub.methods.invoke({
        moduleId,
        methodName,
        payload,
        responseTimeoutMs: 10_000,
        connectTimeoutMs: 0,
      });
      return outcome.kind === 'reply' ? outcome.status : 0;
    },
    close: () => undefined,
  };
}
