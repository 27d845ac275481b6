import type { JsonValue } from '../edge/edge.ts';
import { isObject } from '../merge-patch.ts';
import { isSecretName, REDACTED, redactText } from '../redact.ts';

/** IoT Hub takes 32 KB for the section, and edgeHub 32 KB of JSON for a patch; the rest is left for what differs in counting. */
export const MAX_REPORTED_BYTES = 30_000;
const MAX_TEXT_BYTES = 4096;
const MAX_KEY_BYTES = 1024;
/** The section itself is level 1 of the 10 that IoT Hub takes. */
const MAX_DEPTH = 8;
const MAX_INTEGER = 4_503_599_627_370_495;

function cut(text: string, maxBytes: number): string {
  if (Buffer.byteLength(text) <= maxBytes) return text;
  const kept = Buffer.from(text).subarray(0, maxBytes - 3);
  // A letter cut in half decodes to U+FFFD.
  return `${kept.toString().replace(/\uFFFD+$/, '')}…`;
}

/** edgeHub refuses a patch with a key that holds a control character, `.`, `$`, `#` or a space. */
function cleanKey(key: string): string {
  // eslint-disable-next-line no-control-regex -- edgeHub refuses control characters in a key
  return cut(key.replace(/[\0-\x1f\x7f.$# ]/g, '_'), MAX_KEY_BYTES) || '_';
}

/** Makes a value that the hub does not refuse and that holds no secret. */
export function cleanReported(value: JsonValue, name: string, depth = 1): JsonValue {
  if (typeof value === 'string')
    return isSecretName(name) ? REDACTED : cut(redactText(value), MAX_TEXT_BYTES);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) return null;
    return Number.isInteger(value) && Math.abs(value) > MAX_INTEGER ? String(value) : value;
  }
  if (value === null || typeof value === 'boolean') return value;
  if (depth >= MAX_DEPTH) return '…';
  if (Array.isArray(value)) {
    return value.map((item) => cleanReported(item, name, depth + 1)).filter((item) => item !== null);
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [cleanKey(key), cleanReported(inner, key, depth + 1)]),
  );
}

function serviceBytes(value: JsonValue): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (typeof value === 'number') return 8;
  if (typeof value === 'boolean') return 4;
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + serviceBytes(item), 0);
  if (!isObject(value)) return 0;
  return Object.entries(value).reduce(
    (sum, [key, inner]) => sum + Buffer.byteLength(key) + serviceBytes(inner),
    0,
  );
}

/** Size of a key with its value, by whichever of the two ways of counting gives more. */
export function reportedBytes(key: string, value: JsonValue): number {
  const json = Buffer.byteLength(JSON.stringify(key)) + Buffer.byteLength(JSON.stringify(value)) + 2;
  return Math.max(json, Buffer.byteLength(key) + serviceBytes(value));
}
