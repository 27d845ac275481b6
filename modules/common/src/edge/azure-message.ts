import { Buffer } from 'node:buffer';
import iot from 'azure-iot-device';
import type { Message } from 'azure-iot-device';
import { SuiteError } from '../errors.ts';
import type { EdgeMessage } from './edge.ts';

/** edgeHub closes the connection on a larger packet, so the limit holds for the whole packet with topic and properties. */
const MAX_PACKET_BYTES = 256 * 1024;
const MAX_TOPIC_BYTES = 65535;
/** Fixed header, topic length and packet id, plus the topic's fixed parts. */
const FRAME_BYTES = 64;

/** Throws EDGE_REFUSED when edgeHub would not take the message. */
export function toSdkMessage(output: string, message: EdgeMessage, identity: string): Message {
  const topicBytes = measureTopic(output, message, identity);
  const bytes = message.data.length + topicBytes;
  if (topicBytes > MAX_TOPIC_BYTES) {
    throw new SuiteError(
      'EDGE_REFUSED',
      `sending to ${output}: the properties take ${topicBytes} bytes, ${MAX_TOPIC_BYTES} are allowed`,
    );
  }
  if (bytes > MAX_PACKET_BYTES) {
    throw new SuiteError(
      'EDGE_REFUSED',
      `sending to ${output}: the message has ${bytes} bytes with its properties, ${MAX_PACKET_BYTES} are allowed`,
    );
  }
  const sdk = new iot.Message(message.data);
  const { contentType, contentEncoding, messageId, correlationId } = message;
  // The SDK's types know only JSON and UTF-8/16/32; on the wire these are plain strings.
  Object.assign(sdk, {
    ...(contentType === undefined ? {} : { contentType }),
    ...(contentEncoding === undefined ? {} : { contentEncoding }),
    ...(messageId === undefined ? {} : { messageId }),
    ...(correlationId === undefined ? {} : { correlationId }),
  });
  for (const [key, value] of Object.entries(message.properties)) sdk.properties.add(key, value);
  return sdk;
}

function measureTopic(output: string, message: EdgeMessage, identity: string): number {
  const pairs = [
    ['$.on', output],
    ['$.ct', message.contentType],
    ['$.ce', message.contentEncoding],
    ['$.mid', message.messageId],
    ['$.cid', message.correlationId],
    ...Object.entries(message.properties),
  ];
  let bytes = FRAME_BYTES + Buffer.byteLength(identity);
  for (const [key, value] of pairs) {
    if (key === undefined || value === undefined) continue;
    if (!key.isWellFormed() || !value.isWellFormed()) {
      throw new SuiteError('EDGE_REFUSED', `sending to ${output}: a property is not valid Unicode`);
    }
    bytes += encodeURIComponent(key).length + encodeURIComponent(value).length + 2;
  }
  return bytes;
}

export function fromSdkMessage(message: Message): EdgeMessage {
  const { contentType, contentEncoding, messageId, correlationId } = message;
  const properties = Array.from({ length: message.properties.count() }, (_, index) => {
    const { key, value } = message.properties.getItem(index);
    return [key, value] as const;
  });
  return {
    data: message.getBytes(),
    ...(contentType === undefined ? {} : { contentType }),
    ...(contentEncoding === undefined ? {} : { contentEncoding }),
    ...(messageId ? { messageId } : {}),
    ...(correlationId ? { correlationId } : {}),
    properties: Object.fromEntries(properties),
  };
}
