import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';

import { EdgeError } from '../errors.ts';
import type { JsonObject, JsonValue } from '../hub/hub-api.ts';
import { isObject } from '../hub/twin-merge.ts';
import { findJsonMistake, isDeeperThan } from './json-position.ts';

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    // Nothing that can be looked at (JSON text may even be too long for a name): so it is no file.
    return false;
  }
}

/** Far beyond what a twin takes; what is much deeper can be read, but not be written again. */
const MAX_DEPTH = 100;

/** Told before anything is made of the text. `place` names it. */
export function refuseTooDeep(text: string, place: string): void {
  if (isDeeperThan(MAX_DEPTH, text))
    throw new EdgeError('INVALID_INPUT', `${place} is nested deeper than ${MAX_DEPTH} levels`);
}

function parse(text: string, place: string): JsonValue {
  refuseTooDeep(text, place);
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    const { position, expected } = findJsonMistake(text) ?? { position: 1, expected: 'a JSON value' };
    throw new EdgeError(
      'INVALID_INPUT',
      `${place} is not JSON: at position ${position} there should be ${expected}. ` +
        `On a command line, put the JSON into single quotes: '{"key": "value"}' or '"text"'.`,
    );
  }
}

/** JSON text or the path of a file that holds it, as az takes them. */
export function readJsonArgument(argument: string, flag: string, cwd: string): JsonValue {
  const path = resolve(cwd, argument);
  if (isFile(path)) return parse(readFileSync(path, 'utf8').replace(/^\uFEFF/, ''), `the file ${path}`);
  if (/^[^\s"'{[]+\.json$/.test(argument)) {
    throw new EdgeError('INVALID_INPUT', `${flag}: there is no file ${path}`);
  }
  return parse(argument, `the value of ${flag}`);
}

export function readObjectArgument(argument: string, flag: string, cwd: string): JsonObject {
  const value = readJsonArgument(argument, flag, cwd);
  if (isObject(value)) return value;
  throw new EdgeError('INVALID_INPUT', `${flag} must be a JSON object, {"key": value}`);
}
