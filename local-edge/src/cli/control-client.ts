import type { IncomingMessage } from 'node:http';
import { request } from 'node:http';

import { EdgeError } from '../errors.ts';
import type { JsonObject, JsonValue } from '../hub/hub-api.ts';
import { isObject } from '../hub/twin-merge.ts';
import type { HubFacts } from '../hub-facts.ts';

/** Asks the control socket of the running local edge. */
export interface ControlClient {
  call(method: string, path: string, body?: JsonObject): Promise<unknown>;
  /** Resolves when the stream is open, to its lines until it ends or the signal aborts. */
  lines(path: string, signal: AbortSignal): Promise<AsyncGenerator<string>>;
}

function open(
  hub: HubFacts,
  method: string,
  path: string,
  body?: JsonObject,
  signal?: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const call = request(
      {
        socketPath: hub.controlSocket,
        method,
        path,
        agent: false,
        ...(signal === undefined ? {} : { signal }),
      },
      resolve,
    );
    call.on('error', (error) => {
      reject(
        new EdgeError(
          'NOT_RUNNING',
          `the local edge does not answer on ${hub.controlSocket} (${error.message}); start it with \`npx edge start\``,
          { cause: error },
        ),
      );
    });
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  response.setEncoding('utf8');
  for await (const chunk of response as AsyncIterable<string>) text += chunk;
  return text;
}

function failure(text: string): EdgeError {
  let body: JsonValue = null;
  try {
    body = JSON.parse(text) as JsonValue;
  } catch {
    // Not of the control server's making; told as it is.
  }
  const message = isObject(body) && typeof body['message'] === 'string' ? body['message'] : text;
  return new EdgeError(isObject(body) && body['code'] === 'NOT_FOUND' ? 'NOT_FOUND' : 'REFUSED', message);
}

async function* linesOf(response: IncomingMessage, signal: AbortSignal): AsyncGenerator<string> {
  let rest = '';
  try {
    response.setEncoding('utf8');
    for await (const chunk of response as AsyncIterable<string>) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      yield* lines;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  if (rest !== '') yield rest;
}

export function createControlClient(hub: HubFacts): ControlClient {
  return {
    call: async (method, path, body) => {
      const response = await open(hub, method, path, body);
      const text = await textOf(response);
      const status = response.statusCode ?? 0;
      if (status >= 300) throw failure(text);
      return text === '' ? null : (JSON.parse(text) as unknown);
    },
    lines: async (path, signal) => {
      const response = await open(hub, 'GET', path, undefined, signal);
      if (response.statusCode !== 200) throw failure(await textOf(response));
      return linesOf(response, signal);
    },
  };
}
