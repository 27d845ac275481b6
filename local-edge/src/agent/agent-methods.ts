import { gzipSync } from 'node:zlib';
import type { JsonObject, JsonValue } from '../hub/hub-api.ts';
import { isRecord } from '../manifest/record.ts';
import type { LogLine } from './module-log.ts';
import { filterLines, readLogFilter } from './log-filter.ts';

/** What the methods of `$edgeAgent` need of the agent. */
export interface MethodHost {
  readonly deviceId: string;
  readonly hostName: string;
  modules(): readonly string[];
  restart(name: string): Promise<void>;
  lines(name: string): LogLine[];
}

interface Reply {
  readonly status: number;
  readonly payload: JsonValue;
}

class BadRequest extends Error {}

// A direct method takes 128 KB; edgeAgent leaves some room.
const mostBytes = 127_000;

/** Answers a direct method of `$edgeAgent`; names are matched without regard to case, as edgeAgent does. */
export async function answerAgentMethod(host: MethodHost, name: string, payload: JsonValue): Promise<Reply> {
  try {
    switch (name.toLowerCase()) {
      case 'ping':
        return { status: 200, payload: null };
      case 'restartmodule':
        await host.restart(restartId(host, payload));
        return { status: 200, payload: null };
      case 'getmodulelogs':
        return { status: 200, payload: moduleLogs(host, payload) };
      case 'uploadmodulelogs':
      case 'uploadsupportbundle':
      case 'gettaskstatus':
        throw new BadRequest(
          `${name} is not emulated by the local edge. Use GetModuleLogs, or "npx edge logs MODULE".`,
        );
      default:
        throw new BadRequest(
          `Command '${name}' not found. The supported commands are - ping,RestartModule,GetModuleLogs`,
        );
    }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { status: error instanceof BadRequest ? 400 : 500, payload: { message } };
  }
}

function request(payload: JsonValue): JsonObject {
  if (!isRecord(payload)) throw new BadRequest('Request payload not found');
  const version = payload['schemaVersion'];
  if (typeof version !== 'string' || !/^1(\.\d+)?$/.test(version)) {
    throw new BadRequest('schemaVersion must be "1.0"');
  }
  return payload;
}

function restartId(host: MethodHost, payload: JsonValue): string {
  const id = request(payload)['id'];
  if (typeof id !== 'string' || id === '') throw new BadRequest('id must name a module');
  if (!host.modules().includes(id)) throw new Error(`Module ${id} not found in the current environment`);
  return id;
}

function moduleLogs(host: MethodHost, payload: JsonValue): JsonValue {
  const { items, encoding = 'none', contentType = 'text' } = request(payload);
  if (!Array.isArray(items)) throw new BadRequest('items must be a list of {id, filter}');
  if (encoding !== 'none' && encoding !== 'gzip') throw new BadRequest('encoding must be none or gzip');
  if (contentType !== 'text' && contentType !== 'json')
    throw new BadRequest('contentType must be text or json');
  const replies = new Map<string, JsonObject>();
  let bytes = 0;
  for (const item of items) {
    const id = isRecord(item) ? item['id'] : undefined;
    if (typeof id !== 'string' || !isRecord(item)) throw new BadRequest('each of items must have an id');
    const filter = readLogFilter(item['filter']);
    if (typeof filter === 'string') throw new BadRequest(filter);
    for (const name of matching(id, host.modules())) {
      // The first item that names a module decides.
      if (replies.has(name)) continue;
      const records = filterLines(host.lines(name), filter);
      const text =
        contentType === 'text'
          ? records.map((record) => `${record.full}\n`).join('')
          : JSON.stringify(
              records.map(({ stream, level, text, timestamp }) => ({
                iothub: host.hostName,
                device: host.deviceId,
                id: name,
                stream,
                loglevel: level,
                text,
                timestamp,
              })),
            );
      const content = encoding === 'gzip' ? gzipSync(text) : text;
      bytes += content.length;
      replies.set(
        name,
        typeof content === 'string'
          ? { id: name, payload: content }
          : { id: name, payloadBytes: content.toString('base64') },
      );
    }
  }
  if (bytes > mostBytes) {
    throw new BadRequest(
      `The payload is too large for a direct method. GetModuleLogs supports up to ${mostBytes} bytes of logs. ` +
        `The current request returned ${bytes} bytes. Reduce it by tail, since or until in the filter.`,
    );
  }
  return [...replies.values()];
}

function matching(id: string, names: readonly string[]): readonly string[] {
  if (id.toLowerCase() === 'all') return names;
  let pattern: RegExp;
  try {
    pattern = new RegExp(id, 'i');
  } catch {
    throw new BadRequest('id must be a regular expression');
  }
  return names.filter((name) => pattern.test(name));
}
