import type { IncomingMessage, ServerResponse } from 'node:http';
import { isObject } from '../hub/twin-merge.ts';
import type { JsonObject, MethodCall, MethodOutcome } from '../hub/hub-api.ts';
import type { HubCore } from '../hub/hub.ts';
import { checkToken } from './authentication.ts';

const maxNameLength = 100;
const maxPayloadBytes = 131_072;
const maxBodyBytes = maxPayloadBytes + 16_384;

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/**
 * edgeHub's HTTP side for method calls between modules. Its replies are `{status,payload}`, `{message}` for what it refuses, and a bare
 * JSON string for what its validator refuses.
 */
export async function handleMethodRequest(
  hub: HubCore,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const answer = await answerTo(hub, request);
  const text = JSON.stringify(answer.body);
  response.writeHead(answer.status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}

async function answerTo(hub: HubCore, request: IncomingMessage): Promise<Answer> {
  const target = parsePath(request.url ?? '');
  if (target === undefined || request.method !== 'POST') {
    return { status: 404, body: { message: 'edgeHub serves POST /twins/D/modules/M/methods here' } };
  }
  const body = await readBody(request);
  if (body === undefined) {
    return { status: 413, body: { message: `The request has more than ${maxBodyBytes} bytes` } };
  }
  const checked = checkRequest(body);
  if ('refusal' in checked) return checked.refusal;
  const unauthorised = checkActor(hub, request);
  if (unauthorised !== undefined) return unauthorised;
  const clientId = target.moduleId === null ? target.deviceId : `${target.deviceId}/${target.moduleId}`;
  const moduleId = target.deviceId === hub.deviceId ? (target.moduleId ?? '') : '';
  const call: MethodCall = { ...checked.call, moduleId };
  return toAnswer(await hub.methods.invokeFromModule(call), clientId);
}

function toAnswer(outcome: MethodOutcome, clientId: string): Answer {
  switch (outcome.kind) {
    case 'reply':
      return { status: 200, body: { status: outcome.status, payload: outcome.payload } };
    case 'timeout': {
      const message = `Timed out waiting for device to respond to method request ${outcome.requestId}`;
      return { status: 504, body: { message } };
    }
    case 'notFound':
    case 'notOnline':
      return { status: 404, body: { message: `Client ${clientId} not found` } };
  }
}

/** The path may carry an api-version or not; ids may be encoded. */
function parsePath(url: string): { deviceId: string; moduleId: string | null } | undefined {
  const match = /^\/twins\/([^/]+)(?:\/modules\/([^/]+))?\/methods\/?$/.exec(url.split('?')[0] ?? '');
  if (match?.[1] === undefined) return undefined;
  try {
    const moduleId = match[2] === undefined ? null : decodeURIComponent(match[2]);
    return { deviceId: decodeURIComponent(match[1]), moduleId };
  } catch {
    return undefined;
  }
}

function checkActor(hub: HubCore, request: IncomingMessage): Answer | undefined {
  const header = request.headers['x-ms-edge-moduleid'];
  const [actorDevice, actorModule] = typeof header === 'string' ? splitActor(header) : [];
  if (!actorDevice || !actorModule) {
    return { status: 400, body: { message: 'Invalid header value for x-ms-edge-moduleId' } };
  }
  if (actorDevice !== hub.deviceId) {
    const message = 'Only modules on the same device can invoke DirectMethods';
    return { status: 401, body: { message } };
  }
  const verdict = checkToken(hub, actorModule, request.headers.authorization ?? '');
  if (verdict.ok) return undefined;
  return {
    status: 401,
    body: { message: `Unable to authenticate ${actorDevice}/${actorModule}: ${verdict.reason}` },
  };
}

function splitActor(header: string): string[] {
  const at = header.indexOf('/');
  return at < 0 ? [] : [header.slice(0, at), header.slice(at + 1)];
}

/** The checks of edgeHub's validator, in its order and with its texts, before any check of who calls. */
function checkRequest(
  body: string,
): { readonly call: Omit<MethodCall, 'moduleId'> } | { readonly refusal: Answer } {
  const request = parseObject(body);
  const methodName = request?.['methodName'];
  if (request === undefined || typeof methodName !== 'string') {
    return refuse("Value cannot be null. (Parameter 'methodRequest')");
  }
  const connectTimeout = secondsOf(request['connectTimeoutInSeconds'], 0);
  const responseTimeout = secondsOf(request['responseTimeoutInSeconds'], 30);
  if (methodName.trim() === '') return refuse('MethodName is null or whitespace.');
  if (methodName.length > maxNameLength) return refuse(`MethodName cannot be longer than ${maxNameLength}`);
  if (!(connectTimeout >= 0 && connectTimeout <= 300)) {
    return refuse(outOfRange('ConnectTimeout has to be between 0 and 300 seconds.'));
  }
  if (!(responseTimeout >= 5 && responseTimeout <= 300)) {
    return refuse(outOfRange('ResponseTimeout has to be between 5 and 300 seconds.'));
  }
  const payload = request['payload'];
  // edgeHub turns a missing payload into a null byte array and fails on it; an explicit null is fine
  if (payload === undefined) return { refusal: { status: 500, body: { message: 'Value cannot be null.' } } };
  if (Buffer.byteLength(JSON.stringify(payload)) > maxPayloadBytes) {
    return refuse(`Payload should not be greater than ${maxPayloadBytes} bytes.`);
  }
  const [connectTimeoutMs, responseTimeoutMs] = [connectTimeout * 1000, responseTimeout * 1000];
  return { call: { methodName, payload, connectTimeoutMs, responseTimeoutMs } };
}

function secondsOf(value: unknown, absent: number): number {
  if (value === undefined || value === null) return absent;
  return typeof value === 'number' || typeof value === 'string' ? Number(value) : Number.NaN;
}

function outOfRange(text: string): string {
  return `Specified argument was out of the range of valid values. (Parameter '${text}')`;
}

function refuse(message: string): { readonly refusal: Answer } {
  return { refusal: { status: 400, body: message } };
}

function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Undefined when it is too large; it is read to its end all the same, so that the answer arrives. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= maxBodyBytes) chunks.push(chunk);
  }
  return size > maxBodyBytes ? undefined : Buffer.concat(chunks).toString('utf8');
}
