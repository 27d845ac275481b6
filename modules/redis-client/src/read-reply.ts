import { isUtf8 } from 'node:buffer';
import { SuiteError } from '@iotedge-redis/common';
import type { JsonObject, JsonValue, MethodReply } from '@iotedge-redis/common';
import { MAX_PAYLOAD_BYTES, etagOf } from './grammar.ts';
import { answer, fits } from './replies.ts';

/** What Redis holds under a key: the answer of the reading script. */
export interface StoredItem {
  readonly type: string;
  /** Milliseconds to live; negative when it does not expire. */
  readonly ttlMs: number;
  /** Bytes of a string, else the number of members; negative for a type that cannot be read. */
  readonly size: number;
  /** Missing when it is too large to be fetched. */
  readonly content?: unknown;
}

export function parseStored(reply: unknown): StoredItem | undefined {
  if (!Array.isArray(reply))
    throw new SuiteError('REDIS_ERROR', 'reading a key: Redis answered in an unknown form');
  const [type, ttl, size, content] = reply as unknown[];
  const name = text(type);
  if (name === 'none') return undefined;
  return {
    type: name,
    ttlMs: Number(ttl),
    size: Number(size),
    ...(content === undefined ? {} : { content }),
  };
}

/** Message and extra fields of a value, with the limit of a reply applied by the caller. */
export function describeItem(item: StoredItem): { message: string; extras: JsonObject } {
  if (item.size < 0) {
    throw new SuiteError(
      'REDIS_WRONG_TYPE',
      `the key holds a ${item.type}, which cannot be read by this method`,
    );
  }
  if (item.content === undefined) throw tooLarge(item);
  const isBinary = !everyText(item.content, (part) => isUtf8(part));
  const encode = (part: Buffer): string => (isBinary ? part.toString('base64') : part.toString('utf8'));
  return {
    message: contentText(item, encode),
    extras: {
      ...(Buffer.isBuffer(item.content) ? { ETag: etagOf(item.content) } : {}),
      Type: item.type,
      ...(item.ttlMs >= 0 ? { TtlSeconds: Math.ceil(item.ttlMs / 1000) } : {}),
      ...(isBinary ? { Encoding: 'base64' } : {}),
    },
  };
}

export function readReply(item: StoredItem, form: 'string' | 'object'): MethodReply {
  const { message, extras } = describeItem(item);
  const reply = answer(200, message, form === 'object' ? extras : {});
  if (message.length * 6 >= MAX_PAYLOAD_BYTES - 1000 && !fits(reply.payload)) throw tooLarge(item);
  return reply;
}

/** Bytes of everything that was fetched. */
export function contentBytes(content: unknown): number {
  if (Buffer.isBuffer(content)) return content.length;
  if (!Array.isArray(content)) return 0;
  return content.reduce<number>((sum, part) => sum + contentBytes(part), 0);
}

export function tooLarge(item: StoredItem): SuiteError {
  const amount = item.type === 'string' ? `${item.size} bytes` : `a ${item.type} with ${item.size} members`;
  return new SuiteError(
    'TOO_LARGE',
    `the value (${amount}) does not fit into the 128 KB of a direct method's reply`,
  );
}

function contentText(item: StoredItem, encode: (part: Buffer) => string): string {
  const { content, type } = item;
  if (Buffer.isBuffer(content)) return encode(content);
  const parts = Array.isArray(content) ? (content as unknown[]) : [];
  if (type === 'stream') return JSON.stringify(parts.map((entry) => streamEntry(entry, encode)));
  const texts = parts.map((part) => (Buffer.isBuffer(part) ? encode(part) : String(part)));
  if (type === 'hash') return JSON.stringify(Object.fromEntries(pairs(texts)));
  if (type === 'zset') {
    // Scores are numbers in text, never binary: they are read from the bytes and not from the encoding of the members.
    const scores = parts.filter((_, index) => index % 2 === 1).map((part) => score(text(part)));
    const members = pairs(texts).map(([member], index) => ({ member, score: scores[index] ?? 0 }));
    return JSON.stringify(members);
  }
  return JSON.stringify(texts);
}

/** A stream entry may repeat a field name, so its fields stay pairs. */
function streamEntry(entry: unknown, encode: (part: Buffer) => string): JsonValue {
  const [id, fields] = Array.isArray(entry) ? (entry as unknown[]) : [];
  const texts = (Array.isArray(fields) ? (fields as unknown[]) : []).map((part) =>
    Buffer.isBuffer(part) ? encode(part) : String(part),
  );
  return { id: text(id), fields: pairs(texts) };
}

function score(given: string): JsonValue {
  const value = Number(given);
  return Number.isFinite(value) ? value : given;
}

function pairs(texts: readonly string[]): [string, string][] {
  const result: [string, string][] = [];
  for (let i = 0; i + 1 < texts.length; i += 2) result.push([texts[i] ?? '', texts[i + 1] ?? '']);
  return result;
}

function everyText(content: unknown, test: (part: Buffer) => boolean): boolean {
  if (Buffer.isBuffer(content)) return test(content);
  return !Array.isArray(content) || content.every((part) => everyText(part, test));
}

function text(part: unknown): string {
  return Buffer.isBuffer(part) ? part.toString('utf8') : String(part);
}
