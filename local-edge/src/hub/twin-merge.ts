import type { JsonObject, JsonValue } from './hub-api.ts';

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Applies a patch: null deletes a key, objects are merged, everything else (arrays too) is replaced whole. */
export function merge(base: JsonObject, patch: JsonObject): JsonObject {
  const result: JsonObject = { ...base };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else if (isObject(value)) {
      const old = result[key];
      setOwn(result, key, merge(isObject(old) ? old : {}, value));
    } else setOwn(result, key, value);
  }
  return result;
}

/** The patch that makes a module's copy of `before` equal to `after`: all of `after`, and null for every key that is gone. */
export function patchForReplacement(before: JsonObject, after: JsonObject): JsonObject {
  const patch: JsonObject = {};
  for (const [key, value] of Object.entries(after)) {
    const old = before[key];
    setOwn(patch, key, isObject(value) && isObject(old) ? patchForReplacement(old, value) : value);
  }
  for (const key of Object.keys(before)) if (!Object.hasOwn(after, key)) setOwn(patch, key, null);
  return patch;
}

/** Removes nulls from a whole section, where a null means "not there". */
export function withoutNulls(content: JsonObject): JsonObject {
  return merge({}, content);
}

export interface Stamp {
  readonly time: string;
  /** Desired sections carry `$lastUpdatedVersion`; reported ones do not. */
  readonly version?: number;
}

/** Brings `$metadata` up to date after `patch`: stamps what it touches and every level above, drops what it deletes. */
export function stampMetadata(metadata: JsonObject, patch: JsonObject, stamp: Stamp): JsonObject {
  const result: JsonObject = { ...metadata, ...stampFields(stamp) };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else setOwn(result, key, stampValue(result[key], value, stamp));
  }
  return result;
}

function stampValue(old: JsonValue | undefined, value: JsonValue, stamp: Stamp): JsonObject {
  return isObject(value) ? stampMetadata(isObject(old) ? old : {}, value, stamp) : stampFields(stamp);
}

function stampFields(stamp: Stamp): JsonObject {
  return stamp.version === undefined
    ? { $lastUpdated: stamp.time }
    : { $lastUpdated: stamp.time, $lastUpdatedVersion: stamp.version };
}

/** A key named `__proto__` is a key like any other. */
export function setOwn(target: JsonObject, key: string, value: JsonValue): void {
  Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
}
