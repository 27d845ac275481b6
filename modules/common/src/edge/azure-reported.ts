import { Buffer } from 'node:buffer';
import { SuiteError } from '../errors.ts';
import type { JsonObject, JsonValue } from './edge.ts';
import { isObject } from '../merge-patch.ts';

const MAX_PATCH_BYTES = 32 * 1024;
const MAX_KEY_BYTES = 1024;
const MAX_STRING_BYTES = 4 * 1024;
const MAX_DEPTH = 10;
const MIN_INTEGER = -4503599627370496;
const MAX_INTEGER = 4503599627370495;

/**
 * The rules of edgeHub and IoT Hub for a reported patch. They are checked before sending, since edgeHub answers a refused patch
 * with status 400 and an empty body: the caller would never learn which key it was. Throws EDGE_REFUSED.
 */
export function checkReportedPatch(patch: JsonObject): void {
  checkObject(patch, '', 1);
  const bytes = Buffer.byteLength(JSON.stringify(patch));
  if (bytes > MAX_PATCH_BYTES) refuse('', `the patch has ${bytes} bytes, ${MAX_PATCH_BYTES} are allowed`);
}

function refuse(path: string, problem: string): never {
  const place = path === '' ? '' : ` ${path}`;
  throw new SuiteError('EDGE_REFUSED', `reporting${place}: ${problem}`);
}

function checkObject(object: JsonObject, path: string, depth: number): void {
  if (depth > MAX_DEPTH) refuse(path, `nested deeper than ${MAX_DEPTH} levels`);
  for (const [key, value] of Object.entries(object)) {
    const place = path === '' ? key.slice(0, 80) : `${path}.${key.slice(0, 80)}`;
    checkKey(key, place);
    if (value !== null) checkValue(value, place, depth);
  }
}

function checkKey(key: string, path: string): void {
  if (key === '') refuse(path, 'a key is empty');
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) refuse(path, `a key is longer than ${MAX_KEY_BYTES} bytes`);
  if (/[\p{Cc}.$# ]/u.test(key))
    refuse(JSON.stringify(path), 'a key holds a control character, a space or one of . $ #');
}

function checkValue(value: JsonValue, path: string, depth: number): void {
  switch (typeof value) {
    case 'string':
      if (Buffer.byteLength(value) > MAX_STRING_BYTES)
        refuse(path, `a string is longer than ${MAX_STRING_BYTES} bytes`);
      return;
    case 'number':
      if (!Number.isFinite(value)) refuse(path, 'a number is not finite');
      if (Number.isInteger(value) && (value < MIN_INTEGER || value > MAX_INTEGER)) {
        refuse(path, `an integer is not within ${MIN_INTEGER} and ${MAX_INTEGER}`);
      }
      return;
    case 'boolean':
      return;
    default:
      if (Array.isArray(value)) checkArray(value, path, depth);
      else if (isObject(value)) checkObject(value, path, depth + 1);
      else refuse(path, 'a value is not JSON');
  }
}

function checkArray(values: JsonValue[], path: string, depth: number): void {
  if (depth + 1 > MAX_DEPTH) refuse(path, `nested deeper than ${MAX_DEPTH} levels`);
  for (const [index, value] of values.entries()) {
    if (value === null) refuse(`${path}[${index}]`, 'null is not allowed inside of an array');
    checkValue(value, `${path}[${index}]`, depth + 1);
  }
}
