/** Wire names of system properties that a client may send, and their long names. */
const incoming: Readonly<Record<string, string>> = {
  '$.exp': 'absolute-expiry-time',
  '$.cid': 'correlationId',
  '$.mid': 'messageId',
  '$.to': 'to',
  '$.uid': 'userId',
  ack: 'ack',
  '$.on': 'outputName',
  '$.ct': 'contentType',
  '$.ce': 'contentEncoding',
  '$.schema': 'messageSchema',
  'iothub-operation': 'operation',
  '$.ctime': 'creationTime',
  '$.ifid': 'iothub-interface-id',
  '$.sub': 'dt-subject',
};

/** Who sent a message is for edgeHub to say: what a client claims there is dropped. */
const claims = new Set(['$.cdid', '$.cmid']);

/** `$.on` and `$.ifid` stay in edgeHub. */
const outgoing = Object.entries(incoming).filter(([wire]) => wire !== '$.on' && wire !== '$.ifid');

export interface Properties {
  readonly system: Readonly<Record<string, string>>;
  readonly application: Readonly<Record<string, string>>;
}

/** Reads `k=v&k=v` with percent encoding; `$.on` and `%24.on` are the same name. Undefined when the encoding is broken. */
export function parseBag(bag: string): Properties | undefined {
  const system = new Map<string, string>();
  const application = new Map<string, string>();
  for (const part of bag.split('&')) {
    if (part === '') continue;
    const at = part.indexOf('=');
    const name = decode(at < 0 ? part : part.slice(0, at));
    const value = decode(at < 0 ? '' : part.slice(at + 1));
    if (name === undefined || value === undefined) return undefined;
    if (claims.has(name)) continue;
    const long = Object.hasOwn(incoming, name) ? incoming[name] : undefined;
    if (long === undefined) application.set(name, value);
    else system.set(long, value);
  }
  return { system: Object.fromEntries(system), application: Object.fromEntries(application) };
}

/**
 * The bag behind an input topic: application properties, what edgeHub passes on of the system properties, and the sender. No entry
 * is without `=` or has an empty value, since the Java SDK throws on both.
 */
export function formatInputBag(
  properties: Properties,
  sender: { deviceId: string; moduleId: string },
): string {
  const entries: (readonly [string, string | undefined])[] = Object.entries(properties.application);
  for (const [wire, long] of outgoing) entries.push([wire, properties.system[long]]);
  entries.push(['$.cdid', sender.deviceId], ['$.cmid', sender.moduleId]);
  const parts: string[] = [];
  for (const [name, value] of entries) {
    if (value) parts.push(`${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
  }
  return parts.join('&');
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
