import { FieldProblem } from '@iotedge-redis/common';
import type { JsonValue } from '@iotedge-redis/common';

/** The parts of a text between commas, without blanks around them and without empty ones. */
export function textsOf(given: string): readonly string[] {
  return given
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

export function isTexts(value: JsonValue | undefined): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

/** Reads a setting that is JSON in the environment. */
export function fromJsonText<T>(given: string, read: (value: JsonValue) => T, expected: string): T {
  let value: JsonValue;
  try {
    value = JSON.parse(given) as JsonValue;
  } catch {
    throw new FieldProblem(expected);
  }
  return read(value);
}
