import { createHash, timingSafeEqual } from 'node:crypto';
import type * as nodeHttp from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import type { JsonObject, JsonValue, MethodReply } from './edge/edge.ts';
import { ConfigError, errorText, SuiteError } from './errors.ts';
import { jsonErrorPlace } from './json-place.ts';
import { MAX_METHOD_BYTES } from './method-table.ts';
import { unknownName } from './suggest.ts';

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
  stop(): Promise<void>;
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

function fail(status: number, text: string): Answer {
  return { status, body: { Message: text, Status: status } };
}

/** One port for everything: /metrics, /healthz, /readyz and, without IoT Edge, /methods/NAME and /reported. */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const server = createServer(
    { requestTimeout: BODY_TIME_MS, headersTimeout: BODY_TIME_MS },
    (request, response) => {
      answer(request, options).then(
        (found) => reply(request, response, found),
        (error: unknown) => reply(request, response, fail(500, errorText(error))),
      );
    },
  );
  await listen(server, options);
  const address = server.address();
  return {
    port: typeof address === 'object' && address ? address.port : options.port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        // Replies under way were waited for before; what is left are idle connections of scrapers.
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, { port, host }: HttpServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenMistake(error, port)));
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

function isLoopback(address: string | undefined): boolean {
  return address !== undefined && /^(::ffff:)?127\.|^::1$/.test(address);
}

/**
 * Without a token: callers on this host only, and no web pages that a browser on this host happens to show (they carry an
 * Origin, or reach us under a name that is not this host's).
 */
function refuse(request: IncomingMessage, token: string | undefined): Answer | undefined {
  const { authorization, origin, host = '' } = request.headers;
  if (token !== undefined) {
    const given = /^Bearer (.+)$/i.exec(authorization ?? '')?.[1];
    const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
    if (given !== undefined && timingSafeEqual(digest(given), digest(token))) return undefined;
    return {
      ...fail(401, 'expected the header Authorization: Bearer with the value of METHODS_TOKEN'),
      headers: { 'www-authenticate': 'Bearer' },
    };
  }
  const name = host.replace(/:\d+$/, '');
  const isLocalName = name === 'localhost' || name === '[::1]' || /^127(\.\d+){3}$/.test(name);
  if (isLoopback(request.socket.remoteAddress) && origin === undefined && isLocalName) return undefined;
  return fail(403, 'only callers on the same host are answered; set METHODS_TOKEN to let others in');
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
  if (body === undefined) return fail(413, `the payload is larger than ${MAX_METHOD_BYTES} bytes`);
  let payload: JsonValue = null;
  try {
    if (body.trim() !== '') payload = JSON.parse(body) as JsonValue;
  } catch {
    return fail(400, `the payload is not JSON: ${jsonErrorPlace(body)}`);
  }
  const result = await methods.invoke(name, payload);
  return result
    ? { status: 200, body: { status: result.status, payload: result.payload } }
    : fail(404, `method ${name}: unknown`);
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= MAX_METHOD_BYTES) chunks.push(chunk);
    // A little more is read and thrown away, so that the caller sees the answer and not a broken connection.
    else if (bytes > 8 * MAX_METHOD_BYTES) break;
  }
  return bytes > MAX_METHOD_BYTES ? undefined : Buffer.concat(chunks).toString();
}

function reply(request: IncomingMessage, response: ServerResponse, { status, body, headers }: Answer): void {
  const text = typeof body === 'string' ? body : `${JSON.stringify(body)}\n`;
  const type = 'application/json; charset=utf-8';
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text), ...headers });
  response.end(request.method === 'HEAD' ? undefined : text);
}
