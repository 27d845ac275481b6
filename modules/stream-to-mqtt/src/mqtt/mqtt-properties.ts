import type { Message } from '../sink/sink.ts';
import { idTime } from '../streams/entry-id.ts';
import { varintSize } from './varint.ts';

/** The PUBLISH properties of MQTT 5 that the bridge sets. */
export interface PublishProperties {
  readonly contentType?: string;
  readonly messageExpiryInterval?: number;
  readonly userProperties?: Record<string, string>;
}

export interface PropertyRules {
  readonly contentType: string;
  /** The life of an entry in seconds, counted from its id; 0 is for ever. */
  readonly expirySeconds: number;
  readonly userProperties: boolean;
}

const MAX_EXPIRY = 0xffff_ffff;

/** What a subscriber needs to recognise a repetition, and how long the message is worth keeping. */
export function propertiesFor(message: Message, rules: PropertyRules, now: number): PublishProperties {
  const age = Math.max(0, now - idTime(message.id)) / 1000;
  return {
    contentType: rules.contentType,
    // An entry past its time still goes out, with the shortest life there is: the broker drops it, nobody loses it silently.
    ...(rules.expirySeconds > 0
      ? { messageExpiryInterval: Math.min(MAX_EXPIRY, Math.max(1, Math.ceil(rules.expirySeconds - age))) }
      : {}),
    ...(rules.userProperties ? { userProperties: userProperties(message) } : {}),
  };
}

function userProperties(message: Message): Record<string, string> {
  const properties: Record<string, string> = { stream: message.label, 'stream-id': message.id };
  if (message.db > 0) properties['db'] = String(message.db);
  if (message.redelivered) properties['redelivered'] = 'true';
  return properties;
}

/** Size of the PUBLISH packet in bytes, for the broker's Maximum Packet Size. */
export function packetSize(
  topic: string,
  payloadBytes: number,
  qos: number,
  properties: PublishProperties | undefined,
): number {
  let body = 2 + Buffer.byteLength(topic) + (qos > 0 ? 2 : 0) + payloadBytes;
  if (properties !== undefined) {
    let size = 0;
    if (properties.contentType !== undefined) size += 3 + Buffer.byteLength(properties.contentType);
    if (properties.messageExpiryInterval !== undefined) size += 5;
    for (const [name, value] of Object.entries(properties.userProperties ?? {})) {
      size += 5 + Buffer.byteLength(name) + Buffer.byteLength(value);
    }
    body += varintSize(size) + size;
  }
  return 1 + varintSize(body) + body;
}
