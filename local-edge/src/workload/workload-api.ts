import { once } from 'node:events';
import { rmSync, rmdirSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Certificates } from '../certificates.ts';
import type { HubCore } from '../hub/hub.ts';
import { openSocketFolder, socketPath } from './socket-folder.ts';
import { answerWorkload, type WorkloadContext } from './workload-requests.ts';

export interface WorkloadApiOptions {
  readonly hub: HubCore;
  readonly certificates: Certificates;
  readonly now?: () => number;
}

const maxBodyBytes = 1024 * 1024;

/** The workload API of IoT Edge: one Unix socket per module, on which the module can prove who it is. */
export class WorkloadApi {
  readonly #options: WorkloadApiOptions;
  readonly #folder: string;
  readonly #servers = new Map<string, Server>();

  constructor(options: WorkloadApiOptions) {
    this.#options = options;
    this.#folder = openSocketFolder(options.hub.stateDir);
  }

  /** Serves a module and answers the path of its socket; the URI for the module is `unix://` and this path. */
  async listen(moduleId: string): Promise<string> {
    const path = socketPath(this.#folder, moduleId);
    if (this.#servers.has(moduleId)) return path;
    const { hub, certificates, now = Date.now } = this.#options;
    const context: WorkloadContext = { hub, certificates, moduleId, now };
    // some SDKs send the socket's path as Host, or no Host at all
    const server = createServer({ requireHostHeader: false }, (request, response) => {
      void respond(context, request, response);
    });
    this.#servers.set(moduleId, server);
    // a socket file that a killed process left behind
    rmSync(path, { force: true });
    server.listen(path);
    await once(server, 'listening');
    return path;
  }

  async close(moduleId: string): Promise<void> {
    const server = this.#servers.get(moduleId);
    if (server === undefined) return;
    this.#servers.delete(moduleId);
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#servers.keys()].map((moduleId) => this.close(moduleId)));
    try {
      rmdirSync(this.#folder);
    } catch {
      // other sockets of the local edge are still in it
    }
  }
}

export function createWorkloadApi(options: WorkloadApiOptions): WorkloadApi {
  return new WorkloadApi(options);
}

async function respond(
  context: WorkloadContext,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const body = await readBody(request);
    const { method = 'GET', url = '/' } = request;
    const reply =
      body === undefined
        ? { status: 413, body: { message: `the body has more than ${maxBodyBytes} bytes` } }
        : await answerWorkload(context, { method, url, body });
    send(response, reply.status, reply.body);
  } catch (error) {
    context.hub.log('error', `the workload API failed for ${context.moduleId}`, { error });
    if (!response.headersSent) send(response, 500, { message: 'the workload API failed; see its log' });
  }
}

/**
 * The Java SDK reads replies by itself: it wants Content-Length rather than chunks, a status line of exactly three words, and ASCII.
 */
function send(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body).replace(
    /[\u0080-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  const reason = status === 200 ? 'OK' : status === 201 ? 'Created' : 'Error';
  response.writeHead(status, reason, { 'Content-Type': 'application/json', 'Content-Length': text.length });
  response.end(text);
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= maxBodyBytes) chunks.push(chunk);
  }
  return size > maxBodyBytes ? undefined : Buffer.concat(chunks).toString('utf8');
}
