import { request } from 'node:http';
import type { IncomingMessage, RequestOptions } from 'node:http';
import { EdgeError } from '../errors.ts';
import { isRecord } from '../manifest/record.ts';

/** The engine answered with an error of its own; `status` is HTTP's: 404 no such thing, 409 a conflict, 500 it could not. */
export class EngineError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'EngineError';
    this.status = status;
  }
}

export interface EngineCall {
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Longest silence of the engine before the call is given up; null waits as long as it takes. */
  readonly silenceMs?: number | null;
}

const usualSilenceMs = 30_000;
const longestReplyBytes = 4_000_000;

/**
 * A container engine by its HTTP API (Docker Engine API; paths without a version are those of the engine's own newest one, and what is used
 * here is the same in all from 1.41 on). It has to be on this machine: modules get Unix sockets of it.
 */
export class EngineClient {
  readonly socketPath: string;

  constructor(socketPath: string) {
    this.socketPath = socketPath;
  }

  /** Answers the parsed JSON, or null for an empty body. Throws EngineError, or SERVICE_MISSING when nobody answers. */
  async call(method: 'GET' | 'POST' | 'DELETE', path: string, options: EngineCall = {}): Promise<unknown> {
    const reply = await this.open(method, path, options);
    const text = await readAll(reply);
    return text.trim() === '' ? null : (JSON.parse(text) as unknown);
  }

  /** The same for a body that goes on: resolves with the headers, and leaves reading it to the caller. */
  async open(method: string, path: string, options: EngineCall = {}): Promise<IncomingMessage> {
    const { query = {}, body, silenceMs = usualSilenceMs } = options;
    const search = new URLSearchParams(query).toString();
    const text = body === undefined ? undefined : JSON.stringify(body);
    const reply = await this.#send(
      {
        method,
        path: search === '' ? path : `${path}?${search}`,
        headers:
          text === undefined
            ? {}
            : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) },
        ...(silenceMs === null ? {} : { timeout: silenceMs }),
      },
      text,
    );
    const { statusCode = 0 } = reply;
    if (statusCode >= 400) throw new EngineError(statusCode, reasonOf(await readAll(reply)));
    return reply;
  }

  #send(options: RequestOptions, text: string | undefined): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      // A connection of its own each: some of them stay open for as long as a module runs.
      const sent = request({ ...options, socketPath: this.socketPath, host: 'localhost', agent: false });
      sent.once('response', resolve);
      sent.once('timeout', () =>
        sent.destroy(new Error(`no word for ${String((options.timeout ?? 0) / 1000)} s`)),
      );
      sent.once('error', (cause) => reject(missing(this.socketPath, cause)));
      sent.end(text);
    });
  }
}

function missing(socketPath: string, cause: Error): EdgeError {
  const code = 'code' in cause ? String(cause.code) : cause.message;
  const advice =
    code === 'EACCES'
      ? 'Your user may not use it: add it to the group docker and log in again.'
      : 'Start it (sudo systemctl start docker), or name its socket: DOCKER_HOST=unix:///PATH.';
  return new EdgeError(
    'SERVICE_MISSING',
    `no container engine answers at ${socketPath} (${code}). ${advice} Without --docker the modules run as processes, and need none.`,
    { cause },
  );
}

/** Where the engine is asked. Only this machine will do: sockets and folders of it are handed to the containers. */
export function engineSocket(env: NodeJS.ProcessEnv): string {
  const host = env['DOCKER_HOST'];
  if (host === undefined || host === '') return '/var/run/docker.sock';
  if (host.startsWith('unix:///')) return host.slice('unix://'.length);
  throw new EdgeError(
    'SERVICE_MISSING',
    'DOCKER_HOST names an engine that is not asked by a Unix socket. edge start --docker needs the one of this machine: ' +
      'unset DOCKER_HOST, or set DOCKER_HOST=unix:///var/run/docker.sock.',
  );
}

async function readAll(reply: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of reply as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > longestReplyBytes) throw new EngineError(500, 'its reply is longer than 4 MB');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function reasonOf(text: string): string {
  try {
    const value: unknown = JSON.parse(text);
    if (isRecord(value) && typeof value['message'] === 'string') return value['message'];
  } catch {
    // An engine behind a proxy may answer with a page.
  }
  return text.slice(0, 300);
}
