import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { onEnd } from './cleanup.ts';

export interface EngineRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly body: unknown;
}

export interface ScriptedContainer {
  readonly id: string;
  readonly name: string;
  readonly body: CreateBody;
  isRunning: boolean;
  exitCode: number;
  health: string;
  starts: number;
  /** Answered to start instead of running. */
  startError: string | undefined;
  readonly exits: ((code: number) => void)[];
}

export interface CreateBody {
  readonly Image: string;
  readonly Env: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Labels: Readonly<Record<string, string>>;
  readonly HostConfig: Readonly<Record<string, unknown>>;
}

/**
 * The part of the Docker Engine API that runs modules, on a Unix socket: what a container engine answers (codes, bodies and streams as
 * Docker 20.10 gives them), without containers. It records what it is asked.
 */
export class ScriptedEngine {
  readonly socketPath: string;
  readonly requests: EngineRequest[] = [];
  readonly containers = new Map<string, ScriptedContainer>();
  readonly images = new Set<string>();
  readonly networks = new Set<string>();
  /** Image → what its pull ends with; others are pulled. */
  readonly pullErrors = new Map<string, string>();
  readonly #server = createServer((request, response) => void this.#answer(request, response));

  constructor(socketPath: string) {
    this.socketPath = socketPath;
  }

  async open(): Promise<void> {
    this.#server.listen(this.socketPath);
    await once(this.#server, 'listening');
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  named(name: string): ScriptedContainer {
    const found = [...this.containers.values()].find((one) => one.name === name);
    if (found === undefined) throw new Error(`no container ${name}`);
    return found;
  }

  /** A container that is there before the local edge. */
  add(name: string, labels: Readonly<Record<string, string>> = {}): ScriptedContainer {
    const id = `${name}-`.padEnd(64, String(this.containers.size));
    const body = { Image: 'x', Env: [], Labels: labels, HostConfig: {} };
    const container = {
      id,
      name,
      body,
      isRunning: true,
      exitCode: 0,
      health: 'none',
      starts: 0,
      startError: undefined,
      exits: [],
    };
    this.containers.set(id, container);
    return container;
  }

  /** The program of a container ends. */
  exit(name: string, code: number): void {
    const container = this.named(name);
    container.isRunning = false;
    container.exitCode = code;
    for (const end of container.exits.splice(0)) end(code);
  }

  asked(method: string, pattern: RegExp): EngineRequest[] {
    return this.requests.filter((one) => one.method === method && pattern.test(one.path));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://engine');
    let text = '';
    for await (const chunk of request.setEncoding('utf8') as AsyncIterable<string>) text += chunk;
    const { method = 'GET' } = request;
    const body: unknown = text === '' ? undefined : JSON.parse(text);
    const path = decodeURI(pathname);
    const asked = { method, path, query: Object.fromEntries(searchParams), body };
    this.requests.push(asked);
    const [kind = '', name = '', action = ''] =
      /^\/(\w+)(?:\/(.*?))?(?:\/(json|start|stop|wait|logs))?$/.exec(path)?.slice(1) ?? [];
    const send: Send = (status, value) => {
      response.writeHead(status, { 'Content-Type': 'application/json' });
      response.end(value === undefined ? undefined : JSON.stringify(value));
      return true;
    };
    if (kind === 'version') send(200, { Version: '20.10.24', ApiVersion: '1.41', Os: 'linux' });
    else if (kind === 'networks') this.#network(asked, name, send);
    else if (kind === 'images') this.#image(asked, name, send, response);
    else if (path === '/containers/json') send(200, this.#list(asked));
    else if (path === '/containers/create') this.#create(asked, send);
    else this.#container(asked, this.#find(name), action, send, response);
  }

  #network({ method, body }: EngineRequest, name: string, send: Send): true {
    if (method === 'POST') {
      this.networks.add((body as { Name: string }).Name);
      return send(201, { Id: 'n1' });
    }
    if (!this.networks.has(name)) return send(404, { message: `network ${name} not found` });
    // Another address of loopback: what listens there is reached from nowhere else.
    return send(200, { Name: name, IPAM: { Config: [{ Subnet: '127.0.0.0/8', Gateway: '127.0.0.2' }] } });
  }

  #image({ method, query }: EngineRequest, name: string, send: Send, response: ServerResponse): true {
    if (method === 'GET') {
      return this.images.has(name)
        ? send(200, { Id: 'i' })
        : send(404, { message: `No such image: ${name}` });
    }
    const image = `${query['fromImage'] ?? ''}:${query['tag'] ?? ''}`;
    const failure = this.pullErrors.get(image);
    if (failure === undefined) this.images.add(image);
    response.writeHead(200);
    response.write(`{"status":"Pulling from ${image}"}\r\n`);
    response.end(failure === undefined ? '{"status":"Done"}\r\n' : `{"error":"${failure}"}\r\n`);
    return true;
  }

  #list({ query }: EngineRequest): unknown[] {
    const { label = [] } = JSON.parse(query['filters'] ?? '{}') as { label?: string[] };
    return [...this.containers.values()]
      .filter(({ body }) =>
        label.every((one) => Object.entries(body.Labels).some((pair) => pair.join('=') === one)),
      )
      .map(({ id, name }) => ({ Id: id, Names: [`/${name}`] }));
  }

  #create({ query, body }: EngineRequest, send: Send): true {
    const name = query['name'] ?? '';
    if ([...this.containers.values()].some((one) => one.name === name))
      return send(409, { message: `Conflict. The container name "/${name}" is already in use` });
    const container = this.add(name);
    this.containers.set(container.id, { ...container, body: body as CreateBody, isRunning: false });
    return send(201, { Id: container.id, Warnings: [] });
  }

  #container(
    { method, path }: EngineRequest,
    container: ScriptedContainer | undefined,
    action: string,
    send: Send,
    response: ServerResponse,
  ): true {
    if (container === undefined) return send(404, { message: `No such container: ${path}` });
    if (method === 'DELETE') {
      this.containers.delete(container.id);
      return send(204);
    }
    if (action === 'json') return send(200, inspected(container));
    if (action === 'start') {
      if (container.startError !== undefined) return send(500, { message: container.startError });
      container.isRunning = true;
      container.starts += 1;
      return send(204);
    }
    if (action === 'stop') {
      if (!container.isRunning) return send(304);
      this.exit(container.name, 143);
      return send(204);
    }
    if (action === 'wait') {
      if (!container.isRunning) return send(200, { StatusCode: container.exitCode });
      container.exits.push((code) => send(200, { StatusCode: code }));
      return true;
    }
    response.writeHead(200, { 'Content-Type': 'application/vnd.docker.raw-stream' });
    // A frame cut anywhere, as a socket may cut it.
    const frames = Buffer.concat([frame(1, `hello of ${container.name}\n`), frame(2, 'a warning\n')]);
    response.write(frames.subarray(0, 5));
    response.write(frames.subarray(5, 20));
    response.write(frames.subarray(20));
    if (container.isRunning) container.exits.push(() => response.end());
    else response.end();
    return true;
  }

  #find(name: string): ScriptedContainer | undefined {
    return this.containers.get(name) ?? [...this.containers.values()].find((one) => one.name === name);
  }
}

/** True, so that a branch may end with it: it is answered. */
type Send = (status: number, value?: unknown) => true;

function inspected({ id, body, isRunning, health }: ScriptedContainer): unknown {
  return {
    Id: id,
    Config: { Tty: false, Labels: body.Labels },
    State: {
      Running: isRunning,
      Pid: isRunning ? 4242 : 0,
      StartedAt: '2026-01-31T10:20:30.123456789Z',
      Health: { Status: health, Log: [{ ExitCode: 1, Output: 'no answer\n' }] },
    },
  };
}

function frame(stream: number, text: string): Buffer {
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([header, Buffer.from(text)]);
}

export async function startScriptedEngine(t: TestContext): Promise<ScriptedEngine> {
  const folder = mkdtempSync(join(tmpdir(), 'engine-'));
  const engine = new ScriptedEngine(join(folder, 'docker.sock'));
  await engine.open();
  onEnd(t, async () => {
    await engine.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return engine;
}
