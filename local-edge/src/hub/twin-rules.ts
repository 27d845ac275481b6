import type { JsonObject, JsonValue } from './hub-api.ts';

export const maxSectionBytes = 32 * 1024;
export const maxTagsBytes = 8 * 1024;
const maxKeyBytes = 1024;
const maxStringBytes = 4096;
const maxDepth = 10;
const maxInteger = 4503599627370495;
const minInteger = -4503599627370496;

export interface TwinRules {
  /** `$` and `.` everywhere; edgeHub refuses `#` too, which it keeps for itself. */
  readonly forbiddenInKeys: string;
}
export const serviceRules: TwinRules = { forbiddenInKeys: '$.' };
export const edgeHubRules: TwinRules = { forbiddenInKeys: '$.#' };

/** The first breach of the twin rules in a patch or a whole section, as a sentence; undefined when there is none. */
export function findBreach(root: JsonObject, rules: TwinRules): string | undefined {
  return checkObject(root, '', 0, false, rules);
}

function checkObject(
  value: JsonObject,
  path: string,
  depth: number,
  inArray: boolean,
  rules: TwinRules,
): string | undefined {
  if (depth > maxDepth) return tooDeep(path);
  for (const [key, item] of Object.entries(value)) {
    const at = path === '' ? key : `${path}.${key}`;
    const breach = checkKey(key, path, rules) ?? checkValue(item, at, depth + 1, inArray, rules);
    if (breach !== undefined) return breach;
  }
  return undefined;
}

function checkKey(key: string, path: string, rules: TwinRules): string | undefined {
  const place = path === '' ? 'the root' : `"${path}"`;
  if (Buffer.byteLength(key) > maxKeyBytes) {
    return `A key in ${place} ("${key.slice(0, 10)}…") is longer than ${maxKeyBytes} bytes.`;
  }
  for (const character of key) {
    // eslint-disable-next-line no-control-regex -- control characters are what the rule is about
    if (/[\u0000-\u001f\u007f-\u009f\s]/.test(character) || rules.forbiddenInKeys.includes(character)) {
      return `The key ${JSON.stringify(key)} in ${place} holds ${JSON.stringify(character)}, which twin keys must not hold.`;
    }
  }
  return undefined;
}

function checkValue(
  value: JsonValue,
  path: string,
  depth: number,
  inArray: boolean,
  rules: TwinRules,
): string | undefined {
  if (value === null) {
    return inArray ? `"${path}" is null inside an array; arrays must not hold null.` : undefined;
  }
  if (typeof value === 'string') {
    return Buffer.byteLength(value) > maxStringBytes
      ? `The string at "${path}" is longer than ${maxStringBytes} bytes.`
      : undefined;
  }
  if (typeof value === 'number') {
    // JSON.parse makes Infinity of 1e999, which no JSON text can hold again
    if (!Number.isFinite(value)) return `The number at "${path}" is too large.`;
    return Number.isInteger(value) && (value > maxInteger || value < minInteger)
      ? `The integer at "${path}" is outside ${minInteger} … ${maxInteger}.`
      : undefined;
  }
  if (typeof value === 'boolean') return undefined;
  if (!Array.isArray(value)) return checkObject(value, path, depth, inArray, rules);
  if (depth > maxDepth) return tooDeep(path);
  for (const [index, item] of value.entries()) {
    const breach = checkValue(item, `${path}[${index}]`, depth + 1, true, rules);
    if (breach !== undefined) return breach;
  }
  return undefined;
}

function tooDeep(path: string): string {
  return `"${path}" is nested deeper than ${maxDepth} levels.`;
}

/** Size as IoT Hub counts it: keys and strings by their UTF-8 length, numbers 8 bytes, booleans 4. */
export function sizeOf(value: JsonValue): number {
  if (value === null) return 0;
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (typeof value === 'number') return 8;
  if (typeof value === 'boolean') return 4;
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + sizeOf(item), 0);
  return Object.entries(value).reduce((sum, [key, item]) => sum + Buffer.byteLength(key) + sizeOf(item), 0);
}
