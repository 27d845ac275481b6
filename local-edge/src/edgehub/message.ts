import type { Properties } from './property-bag.ts';
import type { ConditionInput } from './routes/values.ts';

/** A message on its way through the routes. */
export interface RoutedMessage extends Properties {
  /** `/messages/modules/<m>[/outputs/<o>]` or `/twinChangeNotifications` */
  readonly source: string;
  /** The module that goes into `$.cmid`. */
  readonly sender: string;
  readonly output: string | null;
  readonly body: Buffer;
}

export function eventMessage(moduleId: string, properties: Properties, body: Buffer): RoutedMessage {
  const output = properties.system['outputName'] ?? null;
  const source = `/messages/modules/${moduleId}${output === null ? '' : `/outputs/${output}`}`;
  return { source, sender: moduleId, output, body, ...properties };
}

/** edgeHub routes reported patches too. */
export function twinChangeMessage(moduleId: string, body: Buffer): RoutedMessage {
  return {
    source: '/twinChangeNotifications',
    sender: moduleId,
    output: null,
    system: { messageSchema: 'twinChangeNotification' },
    application: {},
    body,
  };
}

/** A message as conditions see it; names of properties have no case. */
export function conditionInput(message: RoutedMessage, deviceId: string): ConditionInput {
  let application: Map<string, string> | undefined;
  let system: Map<string, string> | undefined;
  const origin = { connectionDeviceId: deviceId, connectionModuleId: message.sender };
  let body: { readonly value: unknown } | undefined;
  return {
    application: (name) => (application ??= lowerKeys(message.application)).get(name.toLowerCase()),
    system: (name) => (system ??= lowerKeys({ ...message.system, ...origin })).get(name.toLowerCase()),
    body: () => (body ??= { value: parseBody(message) }).value,
  };
}

function lowerKeys(properties: Readonly<Record<string, string>>): Map<string, string> {
  return new Map(Object.entries(properties).map(([name, value]) => [name.toLowerCase(), value]));
}

/** edgeHub looks into a body only when it is declared as JSON in a Unicode encoding. */
function parseBody(message: RoutedMessage): unknown {
  if (message.system['contentType']?.toLowerCase() !== 'application/json') return undefined;
  try {
    switch (message.system['contentEncoding']?.toLowerCase()) {
      case 'utf-8':
        return JSON.parse(message.body.toString('utf8'));
      case 'utf-16':
        return JSON.parse(message.body.toString('utf16le'));
      case 'utf-32':
        return JSON.parse(decodeUtf32(message.body));
      default:
        return undefined;
    }
  } catch {
    return undefined;
  }
}

function decodeUtf32(body: Buffer): string {
  let text = '';
  for (let at = 0; at + 4 <= body.length; at += 4) text += String.fromCodePoint(body.readUInt32LE(at));
  return text;
}
