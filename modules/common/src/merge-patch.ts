import { isDeepStrictEqual } from 'node:util';
import type { JsonObject, JsonValue } from './edge/edge.ts';

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** As a twin merges: null deletes, objects are merged, everything else (arrays too) is replaced. */
export function applyPatch(base: JsonObject, patch: JsonObject): JsonObject {
  const result: JsonObject = { ...base };
  for (const [key, value] of Object.entries(patch)) {
    const old = result[key];
    if (value === null) delete result[key];
    else if (isObject(value)) result[key] = applyPatch(isObject(old) ? old : {}, value);
    else result[key] = value;
  }
  return result;
}

/** Smallest patch that makes `base` look like `wanted` for the keys that `wanted` names; a null in `wanted` is an absent key. */
export function patchTowards(base: JsonObject, wanted: JsonObject): JsonObject {
  const patch: JsonObject = {};
  for (const [key, value] of Object.entries(wanted)) {
    const old = base[key];
    if (value === null) {
      if (old !== undefined) patch[key] = null;
    } else if (isObject(value) && isObject(old)) {
      const gone = Object.keys(old).filter((name) => !(name in value));
      const inner = patchTowards(old, { ...value, ...Object.fromEntries(gone.map((name) => [name, null])) });
      if (Object.keys(inner).length > 0) patch[key] = inner;
    } else if (isObject(value)) {
      // The hub never holds a null, so none is sent where there is nothing to delete.
      patch[key] = applyPatch({}, value);
    } else if (!isDeepStrictEqual(old, value)) {
      patch[key] = value;
    }
  }
  return patch;
}
