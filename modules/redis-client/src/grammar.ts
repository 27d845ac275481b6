import { createHash } from 'node:crypto';
import { SuiteError } from '@iotedge-redis/common';
import type { JsonObject, JsonValue } from '@iotedge-redis/common';

/** A request that cannot be understood: answered with 400. */
export function malformed(problem: string): SuiteError {
  return new SuiteError('DATA_INVALID', problem);
}

/** Direct methods carry at most 128 KB each way. */
export const MAX_PAYLOAD_BYTES = 131_072;
export const MAX_ITEMS = 1000;
/** A hundred years: Redis refuses times that overflow, at a limit that differs between versions. */
const MAX_TTL_SECONDS = 3_155_760_000;
const MAX_DB = 65_535;
const MAX_DEPTH = 500;

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Some callers encode their payload twice. A text that is itself the JSON text of a string, or of an object with one of the
 * names that this method knows, is taken as what it says; any other text is left alone.
 */
export function unwrap(payload: JsonValue, names: readonly string[]): JsonValue {
  if (typeof payload !== 'string' || !/^\s*["{[]/.test(payload)) return payload;
  let inner: JsonValue;
  try {
    inner = JSON.parse(payload) as JsonValue;
  } catch {
    return payload;
  }
  if (typeof inner === 'string') return inner;
  return isObject(inner) && names.some((name) => Object.hasOwn(inner, name)) ? inner : payload;
}

export function checkNames(object: JsonObject, known: readonly string[], place: string): void {
  const unknown = Object.keys(object).filter((name) => !known.includes(name));
  if (unknown.length === 0) return;
  const listed = unknown.slice(0, 5).map((name) => `"${name.slice(0, 50)}"`);
  throw malformed(`unknown field ${listed.join(', ')} in ${place}; known are ${known.join(', ')}`);
}

export function parseKey(value: JsonValue | undefined, name = 'key'): string {
  if (value === undefined) throw malformed(`"${name}" is missing`);
  if (typeof value !== 'string') throw malformed(`"${name}" must be a text`);
  if (value === '') throw malformed(`"${name}" is empty; a key has at least one character`);
  if (!value.isWellFormed())
    throw malformed(`"${name}" holds half of a surrogate pair, which UTF-8 cannot carry`);
  return value;
}

/** What is stored: texts as they are, numbers and booleans as JSON writes them, objects and arrays as JSON text. */
export function parseValue(value: JsonValue | undefined, name = 'value'): string {
  if (value === undefined) throw malformed(`"${name}" is missing`);
  if (value === null) {
    const instead =
      name === 'value' ? 'use DeleteItem to remove a key' : 'use ifAbsent for a key that must not exist';
    throw malformed(`"${name}" is null; ${instead}`);
  }
  checkKept(value, name);
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  if (!text.isWellFormed())
    throw malformed(`"${name}" holds half of a surrogate pair, which UTF-8 cannot carry`);
  if (Buffer.byteLength(text) > MAX_PAYLOAD_BYTES) {
    throw new SuiteError('TOO_LARGE', `"${name}" is larger than 128 KB, the limit of a direct method`);
  }
  return text;
}

/** What JSON has changed on its way, or cannot write back, must not be stored as if it were what the caller sent. */
function checkKept(value: JsonValue, name: string, depth = 0): void {
  if (typeof value === 'number' && (Number.isInteger(value) || !Number.isFinite(value))) {
    if (Number.isSafeInteger(value)) return;
    const place = depth === 0 ? `"${name}" is` : `"${name}" holds`;
    throw malformed(`${place} a number beyond 2^53, which has lost digits on its way; send it as a text`);
  }
  if (typeof value !== 'object' || value === null) return;
  if (depth === MAX_DEPTH)
    throw malformed(`"${name}" is nested more than ${MAX_DEPTH} levels deep; send it as a text`);
  for (const inner of Object.values(value)) checkKept(inner, name, depth + 1);
}

export function parseFlag(value: JsonValue | undefined, name: string): boolean {
  if (value === undefined) return false;
  if (typeof value !== 'boolean') throw malformed(`"${name}" must be true or false`);
  return value;
}

export function parseTtl(value: JsonValue | undefined): number | undefined {
  return parseInteger(value, 'ttlSeconds', 1, MAX_TTL_SECONDS);
}

export function parseDb(value: JsonValue | undefined): number | undefined {
  return parseInteger(value, 'db', 0, MAX_DB);
}

function parseInteger(
  value: JsonValue | undefined,
  name: string,
  min: number,
  max: number,
): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
    throw malformed(`"${name}" must be a whole number from ${min} to ${max}`);
  }
  return value;
}

/** SHA-1 in lower case hex, as GetItem returned it. */
export function parseEtag(value: JsonValue): string {
  if (typeof value !== 'string' || !/^[0-9a-f]{40}$/i.test(value)) {
    throw malformed('"ifMatch" must be an ETag: the 40 hexadecimal digits that GetItem returned');
  }
  return value.toLowerCase();
}

export function etagOf(value: string | Buffer): string {
  return createHash('sha1').update(value).digest('hex');
}
