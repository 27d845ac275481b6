import { Buffer } from 'node:buffer';
import { request } from 'node:http';
import type { Clock } from '../clock.ts';
import { errorText, SuiteError } from '../errors.ts';
import { deadline } from '../retry.ts';

/** The two calls of the IoT Edge workload API that a module needs, each with a time limit of its own. */
export interface WorkloadApi {
  /** PEM, possibly several certificates. */
  trustBundle(signal: AbortSignal): Promise<string>;
  /** HMAC-SHA256 of the text with the module's key, which never leaves the device's identity service. */
  sign(text: string, signal: AbortSignal): Promise<Buffer>;
}

export interface WorkloadOptions {
  readonly uri: URL;
  readonly moduleId: string;
  readonly generationId: string;
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/** The version that every IoT Edge runtime since 1.0 answers, and the one that the device SDK asks for. */
const API_VERSION = '2018-06-28';
const MAX_BODY_BYTES = 1024 * 1024;

export function createWorkloadApi(options: WorkloadOptions): WorkloadApi {
  const { moduleId, generationId } = options;
  const signPath = `/modules/${encodeURIComponent(moduleId)}/genid/${encodeURIComponent(generationId)}/sign`;
  return {
    async trustBundle(signal) {
      const what = 'asking the workload API for the trust bundle';
      const body = await call(options, what, 'GET', '/trust-bundle', undefined, signal);
      return field(body, 'certificate', what);
    },
    async sign(text, signal) {
      const what = 'asking the workload API for a signature';
      const data = Buffer.from(text).toString('base64');
      const body = await call(
        options,
        what,
        'POST',
        signPath,
        { keyId: 'primary', algo: 'HMACSHA256', data },
        signal,
      );
      return Buffer.from(field(body, 'digest', what), 'base64');
    },
  };
}

function unavailable(what: string, why: string, cause?: unknown): SuiteError {
  return new SuiteError('EDGE_UNAVAILABLE', `${what}: ${why}`, { cause, retryable: true });
}

function field(body: unknown, name: string, what: string): string {
  if (typeof body === 'object' && body !== null && name in body) {
    const value: unknown = Reflect.get(body, name);
    if (typeof value === 'string' && value !== '') return value;
  }
  throw unavailable(what, `the answer has no ${name}`);
}

async function call(
  options: WorkloadOptions,
  what: string,
  method: 'GET' | 'POST',
  path: string,
  body: object | undefined,
  signal: AbortSignal,
): Promise<unknown> {
  const { uri, timeoutMs, clock } = options;
  const abort = new AbortController();
  const content = body === undefined ? undefined : JSON.stringify(body);
  const answer = new Promise<string>((resolve, reject) => {
    const fail = (error: unknown): void => reject(unavailable(what, errorText(error), error));
    const outgoing = request(
      {
        ...(uri.protocol === 'unix:'
          ? { socketPath: decodeURIComponent(uri.pathname), host: 'localhost' }
          : { host: uri.hostname.replace(/^\[|\]$/g, ''), port: uri.port || 80 }),
        method,
        path: `${path}?api-version=${API_VERSION}`,
        headers:
          content === undefined
            ? {}
            : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(content) },
        // No connection is kept: calls are an hour apart, and an idle socket would hold the process.
        agent: false,
        signal: abort.signal,
      },
      (incoming) => {
        const chunks: Buffer[] = [];
        let size = 0;
        incoming.on('error', fail);
        incoming.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > MAX_BODY_BYTES) incoming.destroy(unavailable(what, 'the answer is too long'));
          else chunks.push(chunk);
        });
        incoming.on('end', () => {
          const status = incoming.statusCode ?? 0;
          if (status >= 200 && status < 300) resolve(Buffer.concat(chunks).toString('utf8'));
          else reject(unavailable(what, `answered with status ${status}`));
        });
      },
    );
    outgoing.on('error', fail);
    outgoing.end(content);
  });
  try {
    const text = await deadline(
      answer,
      timeoutMs,
      signal,
      () => unavailable(what, `no answer within ${timeoutMs} ms`),
      clock,
    );
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw error instanceof SyntaxError ? unavailable(what, 'the answer is not JSON', error) : error;
  } finally {
    abort.abort();
  }
}
