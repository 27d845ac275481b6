import type { IncomingMessage, ServerResponse } from 'node:http';

import { EdgeError } from '../errors.ts';
import type { Hub, JsonObject, JsonValue } from '../hub/hub-api.ts';
import { isObject } from '../hub/twin-merge.ts';
import type { AgentControl, RuntimeControl } from './control-api.ts';
import { changeFaults, faultsOf } from './faults.ts';
import { streamEvents, streamLines } from './streams.ts';

interface Parts {
  readonly hub: Hub;
  readonly agent: AgentControl;
  readonly runtime: RuntimeControl;
}

const MAX_BODY_BYTES = 64 * 1024;

async function readObject(request: IncomingMessage): Promise<JsonObject> {
  let text = '';
  for await (const chunk of request as AsyncIterable<Buffer>) {
    text += chunk.toString('utf8');
    if (text.length > MAX_BODY_BYTES) throw new EdgeError('INVALID_INPUT', 'the request body is too large');
  }
  let body: JsonValue;
  try {
    body = JSON.parse(text === '' ? '{}' : text) as JsonValue;
  } catch {
    throw new EdgeError('INVALID_INPUT', 'the request body is not JSON');
  }
  if (!isObject(body)) throw new EdgeError('INVALID_INPUT', 'the request body must be a JSON object');
  return body;
}

function sendJson(response: ServerResponse, body: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function done(response: ServerResponse): void {
  response.writeHead(204).end();
}

function requireModule(agent: AgentControl, name: string): void {
  const names = agent.list().map((module) => module.name);
  if (names.includes(name)) return;
  throw new EdgeError(
    'NOT_FOUND',
    `there is no module ${name}; ${names.length === 0 ? 'none is deployed' : `there are ${names.join(', ')}`}`,
  );
}

function wholeNumber(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  if (!/^\d+$/.test(text)) throw new EdgeError('INVALID_INPUT', `${name} must be a whole number`);
  return Number(text);
}

async function drop(hub: Hub, request: IncomingMessage): Promise<void> {
  const { how = 'fin', module } = await readObject(request);
  if (how !== 'fin' && how !== 'rst') throw new EdgeError('INVALID_INPUT', 'how must be fin or rst');
  if (module !== undefined && typeof module !== 'string') {
    throw new EdgeError('INVALID_INPUT', 'module must be a string');
  }
  if (module !== undefined && hub.identities.get(module) === undefined) {
    throw new EdgeError('NOT_FOUND', `there is no module identity ${module}`);
  }
  hub.drop(how, module);
}

async function shiftClock(hub: Hub, request: IncomingMessage): Promise<void> {
  const { offsetMs } = await readObject(request);
  if (typeof offsetMs !== 'number' || !Number.isFinite(offsetMs))
    throw new EdgeError('INVALID_INPUT', 'offsetMs must be a number');
  hub.shiftTokenClock(offsetMs);
}

function status({ hub, agent }: Parts): JsonObject {
  return {
    hostName: hub.hostName,
    deviceId: hub.deviceId,
    modules: agent.list().map(({ name, status: state }) => ({ name, status: state })),
    identities: hub.identities.list().map(({ moduleId }) => moduleId),
  };
}

/** Answers one control request; rejects with EdgeError when it cannot be done. */
export async function serveControl(
  parts: Parts,
  request: IncomingMessage,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const { hub, agent, runtime } = parts;
  const url = new URL(request.url ?? '/', 'http://control');
  const [what = '', name = '', verb = ''] = url.pathname.split('/').filter(Boolean).map(decodeURIComponent);
  switch (`${request.method ?? ''} ${what}${name === '' ? '' : '/:name'}${verb === '' ? '' : `/${verb}`}`) {
    case 'GET status':
      sendJson(response, status(parts));
      return;
    case 'GET modules':
      sendJson(response, agent.list());
      return;
    case 'POST modules/:name/restart':
      requireModule(agent, name);
      await agent.restart(name);
      done(response);
      return;
    case 'POST modules/:name/exec': {
      requireModule(agent, name);
      const { words } = await readObject(request);
      if (!Array.isArray(words) || !words.every((word) => typeof word === 'string') || words.length === 0)
        throw new EdgeError('INVALID_INPUT', 'words must be an array of strings, the command first');
      sendJson(response, agent.exec(name, words));
      return;
    }
    case 'GET logs/:name': {
      requireModule(agent, name);
      const tail = wholeNumber(url.searchParams, 'tail');
      const follow = url.searchParams.get('follow') === 'true';
      const lines = agent.logs(name, { ...(tail === undefined ? {} : { tail }), follow, signal });
      await streamLines(lines, response);
      return;
    }
    case 'GET events':
      await streamEvents(
        hub.events,
        url.searchParams,
        wholeNumber(url.searchParams, 'since'),
        response,
        signal,
      );
      return;
    case 'GET faults':
      sendJson(response, faultsOf(hub.faults));
      return;
    case 'PUT faults':
      changeFaults(hub.faults, await readObject(request));
      sendJson(response, faultsOf(hub.faults));
      return;
    case 'POST drop':
      await drop(hub, request);
      done(response);
      return;
    case 'POST lose-sessions':
      hub.loseSessions();
      done(response);
      return;
    case 'POST token-clock':
      await shiftClock(hub, request);
      done(response);
      return;
    case 'POST module-env/:name':
      sendJson(response, await runtime.moduleEnv(name));
      return;
    case 'POST stop':
      done(response);
      runtime.stop();
      return;
    default:
      throw new EdgeError('NOT_FOUND', `the control socket has no ${request.method ?? ''} ${url.pathname}`);
  }
}
