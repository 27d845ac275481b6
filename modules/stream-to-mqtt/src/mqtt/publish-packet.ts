import { varintSize, writeVarint } from './varint.ts';

/** A PUBLISH with everything that is the same from message to message written out already. */
export interface PublishParts {
  readonly topic: Buffer;
  readonly payload: Buffer;
  /** QoS and retain, as in the first byte. */
  readonly flags: number;
  /** Absent for QoS 0. */
  readonly messageId: number | undefined;
  /** Absent for MQTT 3.1.1. */
  readonly properties: Buffer | undefined;
}

/** Bytes of the packet. (MQTT 5, 3.3.) */
export function publishSize(parts: PublishParts): number {
  const remaining = remainingLength(parts);
  return 1 + varintSize(remaining) + remaining;
}

/** Writes the packet and answers where it ends. */
export function writePublish(parts: PublishParts, target: Buffer, start: number): number {
  const { topic, payload, flags, messageId, properties } = parts;
  let at = start;
  target[at++] = 0x30 | flags;
  at = writeVarint(remainingLength(parts), target, at);
  target[at++] = topic.length >> 8;
  target[at++] = topic.length & 0xff;
  target.set(topic, at);
  at += topic.length;
  if (messageId !== undefined) {
    target[at++] = messageId >> 8;
    target[at++] = messageId & 0xff;
  }
  if (properties !== undefined) {
    at = writeVarint(properties.length, target, at);
    target.set(properties, at);
    at += properties.length;
  }
  target.set(payload, at);
  return at + payload.length;
}

function remainingLength({ topic, payload, messageId, properties }: PublishParts): number {
  return (
    2 +
    topic.length +
    (messageId === undefined ? 0 : 2) +
    (properties === undefined ? 0 : varintSize(properties.length) + properties.length) +
    payload.length
  );
}
