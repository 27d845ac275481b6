import type { JsonObject } from '../edge/edge.ts';
import type { Mistake } from '../errors.ts';
import { ConfigError } from '../errors.ts';
import { jsonErrorPlace } from './json-place.ts';

function unquote(value: string): string {
  const quote = value[0];
  const isQuoted = value.length >= 2 && (quote === '"' || quote === "'") && value.endsWith(quote);
  return isQuoted ? value.slice(1, -1) : value;
}

function parseLines(text: string, name: string): JsonObject {
  const found: JsonObject = {};
  const mistakes: Mistake[] = [];
  text.split(/\r\n|\r|\n/).forEach((line, index) => {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#')) return;
    const match = /^(?:export\s+)?([A-Za-z_]\w*)\s*=(.*)$/.exec(trimmed);
    const key = match?.[1];
    const place = `${name} line ${index + 1}`;
    if (key === undefined)
      mistakes.push({
        origin: 'file',
        name: place,
        problem: 'expected NAME=VALUE or a comment that starts with #',
      });
    else if (Object.hasOwn(found, key))
      mistakes.push({ origin: 'file', name: place, problem: `${key} is set a second time` });
    // A # inside of a value belongs to it: passwords have them.
    else found[key] = unquote((match?.[2] ?? '').trim());
  });
  if (mistakes.length > 0) throw new ConfigError(mistakes);
  return found;
}

function parseJson(text: string, name: string): JsonObject {
  try {
    // It starts with a brace, so that what parses is an object.
    return JSON.parse(text) as JsonObject;
  } catch {
    throw new ConfigError([
      { origin: 'file', name, problem: `expected a JSON object; ${jsonErrorPlace(text)}` },
    ]);
  }
}

/** A config file: lines NAME=VALUE with # comments, or one JSON object of names in code, in the twin or in the environment. */
export function parseConfigFile(content: string, name: string): JsonObject {
  const text = content.replace(/^\uFEFF/, '');
  return text.trimStart().startsWith('{') ? parseJson(text, name) : parseLines(text, name);
}
