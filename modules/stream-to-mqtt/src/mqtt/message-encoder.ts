import { propertiesFor } from './mqtt-properties.ts';
import type { PropertyRules, PublishProperties } from './mqtt-properties.ts';
import type { PublishParts } from './publish-packet.ts';
import type { Message } from '../sink/sink.ts';

const MAX_CACHED = 2000;
const MAX_TEXT = 0xffff;
const STREAM_ID = Buffer.concat([Buffer.of(0x26), text('stream-id')]);

/** Turns messages into the parts of a PUBLISH. What repeats from message to message is kept as bytes. */
export class MessageEncoder {
  readonly #rules: PropertyRules | undefined;
  readonly #flags: number;
  readonly #topics = new Map<string, Buffer>();
  readonly #heads = new Map<string, Buffer>();

  /** Without rules there are no properties: MQTT 3.1.1. */
  constructor(options: {
    readonly rules: PropertyRules | undefined;
    readonly qos: 0 | 1 | 2;
    readonly retain: boolean;
  }) {
    this.#rules = options.rules;
    this.#flags = (options.qos << 1) | (options.retain ? 1 : 0);
  }

  parts(message: Message, messageId: number | undefined, now: number): PublishParts {
    return {
      topic: cached(this.#topics, message.topic, () => Buffer.from(message.topic)),
      payload: message.payload,
      flags: this.#flags,
      messageId,
      properties: this.#rules === undefined ? undefined : this.#properties(message, this.#rules, now),
    };
  }

  #properties(message: Message, rules: PropertyRules, now: number): Buffer {
    const isPlain = rules.userProperties && rules.expirySeconds === 0 && !message.redelivered;
    if (!isPlain) return encodeProperties(propertiesFor(message, rules, now));
    const head = cached(this.#heads, `${message.db} ${message.label}`, () => {
      const { userProperties = {}, ...others } = propertiesFor(message, rules, now);
      const fixed = Object.fromEntries(
        Object.entries(userProperties).filter(([name]) => name !== 'stream-id'),
      );
      return Buffer.concat([encodeProperties({ ...others, userProperties: fixed }), STREAM_ID]);
    });
    const { id } = message;
    const bytes = Buffer.allocUnsafe(head.length + 2 + id.length);
    bytes.set(head);
    bytes[head.length] = id.length >> 8;
    bytes[head.length + 1] = id.length & 0xff;
    bytes.write(id, head.length + 2, 'latin1');
    return bytes;
  }
}

/** Properties as bytes, without their length. (MQTT 5, 3.3.2.3.) */
export function encodeProperties(properties: PublishProperties): Buffer {
  const parts: Buffer[] = [];
  if (properties.messageExpiryInterval !== undefined) {
    const expiry = Buffer.alloc(5, 0x02);
    expiry.writeUInt32BE(properties.messageExpiryInterval, 1);
    parts.push(expiry);
  }
  if (properties.contentType !== undefined) parts.push(Buffer.of(0x03), text(properties.contentType));
  for (const [name, value] of Object.entries(properties.userProperties ?? {})) {
    parts.push(Buffer.of(0x26), text(name), text(value));
  }
  return Buffer.concat(parts);
}

/** A string of MQTT carries its length in two bytes. */
function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  // Only the name of a stream can be longer, and it only helps to recognise repetitions.
  const kept = bytes.length > MAX_TEXT ? Buffer.alloc(0) : bytes;
  return Buffer.concat([Buffer.of(kept.length >> 8, kept.length & 0xff), kept]);
}

function cached(cache: Map<string, Buffer>, key: string, make: () => Buffer): Buffer {
  let bytes = cache.get(key);
  if (bytes === undefined) {
    bytes = make();
    if (cache.size < MAX_CACHED) cache.set(key, bytes);
  }
  return bytes;
}
