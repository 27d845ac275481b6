import { parseBag, type Properties } from './property-bag.ts';

export type Publication =
  | { readonly kind: 'event'; readonly properties: Properties }
  | { readonly kind: 'twinGet'; readonly requestId: string }
  | { readonly kind: 'twinPatch'; readonly requestId: string }
  | { readonly kind: 'methodReply'; readonly status: string; readonly requestId: string }
  /** Logged and dropped, as edgeHub does with a method reply that it cannot read. */
  | { readonly kind: 'ignored'; readonly reason: string }
  /** The connection is closed. */
  | { readonly kind: 'malformed'; readonly reason: string };

const twinPrefix = '$iothub/twin/';
const methodsPrefix = '$iothub/methods/';

/** What a client's PUBLISH topic asks for. `deviceId` and `moduleId` are who is connected. */
export function parsePublication(topic: string, deviceId: string, moduleId: string): Publication {
  if (topic.startsWith(twinPrefix)) return parseTwin(topic.slice(twinPrefix.length));
  if (topic.startsWith(methodsPrefix)) return parseMethodReply(topic.slice(methodsPrefix.length));
  return parseEvent(topic, deviceId, moduleId);
}

/** `devices/D/modules/M/messages/events[/<bag>][/]` */
function parseEvent(topic: string, deviceId: string, moduleId: string): Publication {
  const match = /^devices\/([^/]+)\/modules\/([^/]+)\/messages\/events(?:\/([^/]*))?\/?$/.exec(topic);
  if (match === null) return malformed('is no topic that edgeHub knows');
  if (!isId(match[1], deviceId) || !isId(match[2], moduleId)) {
    return malformed('names another device or module than the one that is connected');
  }
  const properties = parseBag(match[3] ?? '');
  return properties === undefined
    ? malformed('has a property bag with broken percent encoding')
    : { kind: 'event', properties };
}

/** Ids are sent raw by the SDKs that are known; an encoded one is the same id. */
function isId(given: string | undefined, id: string): boolean {
  return given === id || given === encodeURIComponent(id);
}

/** `GET/?$rid=<id>` and `PATCH/properties/reported/?$rid=<id>` */
function parseTwin(rest: string): Publication {
  for (const [prefix, kind] of [
    ['GET/', 'twinGet'],
    ['PATCH/properties/reported/', 'twinPatch'],
  ] as const) {
    if (!rest.startsWith(prefix)) continue;
    const query = rest.slice(prefix.length);
    if (query !== '' && !query.startsWith('?')) return malformed('has text between the operation and "?"');
    const requestId = readQuery(query).get('$rid') ?? '';
    if (kind === 'twinGet' && requestId === '') return malformed('has no $rid');
    return { kind, requestId };
  }
  return malformed('is no twin operation');
}

/** `res/<status>/?$rid=<id>` */
function parseMethodReply(rest: string): Publication {
  const match = /^res\/([^/]+)\/(\?.*)$/.exec(rest);
  const requestId = match?.[2] === undefined ? undefined : readQuery(match[2]).get('$rid');
  if (match?.[1] === undefined || !requestId) return { kind: 'ignored', reason: 'is no method reply' };
  return { kind: 'methodReply', status: match[1], requestId };
}

function readQuery(query: string): Map<string, string> {
  const result = new Map<string, string>();
  for (const part of query.slice(1).split('&')) {
    const at = part.indexOf('=');
    if (at > 0) result.set(part.slice(0, at), part.slice(at + 1));
  }
  return result;
}

function malformed(reason: string): Publication {
  return { kind: 'malformed', reason };
}

export function inputTopic(deviceId: string, moduleId: string, input: string, bag: string): string {
  return `devices/${deviceId}/modules/${moduleId}/inputs/${input}/${bag}`;
}

export function methodTopic(name: string, requestId: string): string {
  return `$iothub/methods/POST/${name}/?$rid=${requestId}`;
}

/** edgeHub adds no `$version` to the reply to a reported patch, as IoT Hub does. */
export function twinReplyTopic(status: number, requestId: string): string {
  return `$iothub/twin/res/${status}/?$rid=${requestId}`;
}

export function desiredTopic(version: number): string {
  return `$iothub/twin/PATCH/properties/desired/?$version=${version}`;
}
