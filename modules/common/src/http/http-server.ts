import { isUtf8 } from 'node:buffer';
import type * as nodeHttp from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import type { JsonObject, JsonValue, MethodReply } from '../edge/edge.ts';
import { ConfigError, errorText, SuiteError } from '../errors.ts';
import { judge } from './http-access.ts';
import { jsonErrorPlace } from '../settings/json-place.ts';
import { MAX_METHOD_BYTES } from '../runner/method-table.ts';
import { redactText } from '../redact.ts';
import { unknownName } from '../suggest.ts';

/** Direct methods over HTTP: offered only where there is no IoT Edge. */
export interface HttpMethods {
  readonly names: () => readonly string[];
  readonly invoke: (name: string, payload: JsonValue) => Promise<MethodReply | undefined>;
  /** What the module reported so far. */
  readonly reported: () => JsonObject;
  /** Without a token only callers on the same host are answered. */
  readonly token: string | undefined;
}

export interface HttpServerOptions {
  readonly port: number;
  readonly host: string | undefined;
  readonly metrics: () => string;
  readonly readiness: () => { readonly isReady: boolean; readonly body: JsonObject };
  readonly methods?: HttpMethods | undefined;
}

export interface HttpServer {
  readonly port: number;
  /** Takes no more connections and gives replies under way a moment, until the signal aborts. */
  stop(signal: AbortSignal): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly body: string | JsonValue;
  readonly headers?: Readonly<Record<string, string>>;
}

// An import of node:http reads all of its exports, and with them loads the WHATWG fetch machinery: 25 ms and 10 MB that no
// module needs to become ready.
const { createServer } = createRequire(import.meta.url)('node:http') as typeof nodeHttp;

const BODY_TIME_MS = 10_000;
/** Methods have been waited for when the server stops: what is left are the ends of replies, and callers that say nothing. */
const FLUSH_MS = 500;

function fail(status: number, text: string): Answer {
  return { status, body: { Message: text, Status: status } };
}

/** One port for everything: /metrics, /healthz, /readyz and, without IoT Edge, /methods/NAME and /reported. */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const server = createServer(
    {
      requestTimeout: BODY_TIME_MS,
      headersTimeout: BODY_TIME_MS,
      connectionsCheckingInterval: BODY_TIME_MS / 4,
    },
    (request, response) => {
      answer(request, options).then(
        (found) => reply(server, request, response, found),
        (error: unknown) => reply(server, request, response, fail(500, redactText(errorText(error)))),
      );
    },
  );
  await listen(server, options);
  const address = server.address();
  return {
    port: typeof address === 'object' && address ? address.port : options.port,
    stop: (signal) =>
      new Promise((resolve) => {
        const cut = (): void => server.closeAllConnections();
        const timer = setTimeout(cut, FLUSH_MS);
        server.close(() => {
          clearTimeout(timer);
          signal.removeEventListener('abort', cut);
          resolve();
        });
        if (signal.aborted) cut();
        else signal.addEventListener('abort', cut, { once: true });
      }),
  };
}

function listen(server: Server, { port, host }: HttpServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    // It stays: a connection that cannot be accepted, for want of descriptors, must not end the module.
    server.on('error', (error: NodeJS.ErrnoException) => reject(listenMistake(error, port)));
    server.listen({ port, ...(host === undefined ? {} : { host }) }, resolve);
  });
}

function listenMistake(error: NodeJS.ErrnoException, port: number): SuiteError {
  const mistake = (name: string, problem: string): ConfigError =>
    new ConfigError([{ origin: 'environment', name, problem }]);
  switch (error.code) {
    case 'EADDRINUSE':
      return mistake('HTTP_PORT', `port ${port} is in use by another program; choose another one`);
    case 'EACCES':
      return mistake('HTTP_PORT', `port ${port} needs rights that this user has not; choose one above 1023`);
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return mistake('HTTP_HOST', 'expected an address of this host');
    default:
      return new SuiteError('INTERNAL', `listening on port ${port}: ${error.message}`, { cause: error });
  }
}

async function answer(request: IncomingMessage, options: HttpServerOptions): Promise<Answer> {
  const path = (request.url ?? '/').split('?')[0] ?? '/';
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  const only = (allow: string): Answer => ({ ...fail(405, `${path}: use ${allow}`), headers: { allow } });
  if (path === '/metrics') {
    if (!isRead) return only('GET, HEAD');
    return {
      status: 200,
      body: options.metrics(),
      headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
    };
  }
  if (path === '/healthz') return isRead ? { status: 200, body: { alive: true } } : only('GET, HEAD');
  if (path === '/readyz') {
    const { isReady, body } = options.readiness();
    return isRead ? { status: isReady ? 200 : 503, body } : only('GET, HEAD');
  }
  const { methods } = options;
  const isMethod = path.startsWith('/methods/');
  if (!methods || (!isMethod && path !== '/reported')) return fail(404, `${path}: not found`);
  const refusal = refuse(request, methods.token);
  if (refusal) return refusal;
  if (!isMethod) return isRead ? { status: 200, body: methods.reported() } : only('GET, HEAD');
  return request.method === 'POST'
    ? callMethod(path.slice('/methods/'.length), request, methods)
    : only('POST');
}

function refuse({ socket, headers }: IncomingMessage, token: string | undefined): Answer | undefined {
  switch (judge({ address: socket.remoteAddress, headers }, token)) {
    case 'allowed':
      return undefined;
    case 'without token':
      return {
        ...fail(401, 'expected the header Authorization: Bearer with the value of METHODS_TOKEN'),
        headers: { 'www-authenticate': 'Bearer' },
      };
    case 'not local':
      return fail(403, 'only callers on the same host are answered; set METHODS_TOKEN to let others in');
  }
}

async function callMethod(rawName: string, request: IncomingMessage, methods: HttpMethods): Promise<Answer> {
  let name: string;
  try {
    name = decodeURIComponent(rawName);
  } catch {
    return fail(400, 'expected the name of a method, URL-encoded');
  }
  const names = methods.names();
  if (!names.includes(name)) return fail(404, `method ${name}: ${unknownName(name, names)}`);
  const body = await readBody(request);
  if (body === 'too large') return fail(413, `the payload is larger than ${MAX_METHOD_BYTES} bytes`);
  if (!isUtf8(body)) return fail(400, 'the payload is not JSON: its bytes are not UTF-8');
  const text = body.toString();
  let payload: JsonValue = null;
  try {
    if (text.trim() !== '') payload = JSON.parse(text) as JsonValue;
  } catch {
    return fail(400, `the payload is not JSON: ${jsonErrorPlace(text)}`);
  }
  const result = await methods.invoke(name, payload);
  return result
    ? { status: 200, body: { status: result.status, payload: result.payload } }
    : fail(404, `method ${name}: unknown`);
}

async function readBody(request: IncomingMessage): Promise<Buffer | 'too large'> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= MAX_METHOD_BYTES) chunks.push(chunk);
    // A little more is read and thrown away, so that the caller sees the answer and not a broken connection.
    else if (bytes > 8 * MAX_METHOD_BYTES) break;
  }
  return bytes > MAX_METHOD_BYTES ? 'too large' : Buffer.concat(chunks);
}

function reply(
  server: Server,
  request: IncomingMessage,
  response: ServerResponse,
  { status, body, headers }: Answer,
): void {
  // A kept connection would hold up the stop.
  if (!server.listening) response.shouldKeepAlive = false;
  const text = typeof body === 'string' ? body : `${JSON.stringify(body)}\n`;
  const type = 'application/json; charset=utf-8';
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text), ...headers });
  response.end(request.method === 'HEAD' ? undefined : text);
}
