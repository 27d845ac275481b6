import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Field, JsonValue } from '@iotedge-redis/common';
import { choice, custom, FieldProblem, flag, integer, list, number, text } from '@iotedge-redis/common';

const base = { env: 'NAME', description: 'Something.' };

const fields: Readonly<Record<string, Field<unknown>>> = {
  text: text({ ...base }),
  pattern: text({ ...base, pattern: /^[a-z]+$/, form: 'lower-case letters' }),
  integer: integer({ ...base, min: 1, max: 65_535 }),
  atLeast: integer({ ...base, min: 1 }),
  atMost: number({ ...base, max: 0.5 }),
  number: number({ ...base }),
  flag: flag({ ...base }),
  choice: choice({ ...base, choices: ['read', 'write'], aliases: { r: 'read' } }),
  list: list({ ...base }),
  custom: custom({ ...base, type: 'a day', fromText: (given) => new Date(`${given}T00:00:00Z`).getTime() }),
};

const fromText: [keyof typeof fields, string, unknown][] = [
  ['text', 'a:b "c"', 'a:b "c"'],
  ['pattern', 'abc', 'abc'],
  ['integer', '6379', 6379],
  ['integer', ' 1 ', 1],
  ['number', '-1.5e3', -1500],
  ['atMost', '.25', 0.25],
  ['flag', 'TRUE', true],
  ['flag', 'on', true],
  ['flag', '0', false],
  ['flag', 'no', false],
  ['choice', 'Read', 'read'],
  ['choice', 'R', 'read'],
  ['list', ' a, b ,,c', ['a', 'b', 'c']],
  ['custom', '2026-01-31', Date.UTC(2026, 0, 31)],
];
for (const [name, given, expected] of fromText) {
  test(`${name} takes the text ${JSON.stringify(given)}`, () => {
    assert.deepEqual(fields[name]?.fromText(given), expected);
  });
}

const wrongText: [keyof typeof fields, string, string][] = [
  ['text', '', 'expected a text that is not empty'],
  ['pattern', 'ABC', 'expected lower-case letters'],
  ['integer', '0', 'expected an integer from 1 to 65535'],
  ['integer', '65536', 'expected an integer from 1 to 65535'],
  ['integer', '1.5', 'expected an integer from 1 to 65535'],
  ['integer', '0x10', 'expected an integer from 1 to 65535'],
  ['integer', '', 'expected an integer from 1 to 65535'],
  ['atLeast', '0', 'expected an integer, at least 1'],
  ['atMost', '0.6', 'expected a number, at most 0.5'],
  ['number', '1e999', 'expected a number'],
  ['flag', 'maybe', 'expected true or false'],
  ['choice', 'execute', 'expected one of read, write'],
];
for (const [name, given, problem] of wrongText) {
  test(`${name} refuses the text ${JSON.stringify(given)} and says what it expects`, () => {
    assert.throws(() => fields[name]?.fromText(given), new FieldProblem(problem));
  });
}

const fromJson: [keyof typeof fields, JsonValue, unknown][] = [
  ['text', 'x', 'x'],
  ['integer', 6379, 6379],
  ['flag', false, false],
  ['list', ['a', 'b'], ['a', 'b']],
  ['list', 'a,b', ['a', 'b']],
  ['custom', '2026-01-31', Date.UTC(2026, 0, 31)],
];
for (const [name, given, expected] of fromJson) {
  test(`${name} takes the desired value ${JSON.stringify(given)}`, () => {
    assert.deepEqual(fields[name]?.fromJson(given), expected);
  });
}

const wrongJson: [keyof typeof fields, JsonValue, string][] = [
  ['text', 5, 'expected a text that is not empty'],
  ['integer', '6379', 'expected an integer from 1 to 65535'],
  ['flag', 'true', 'expected true or false'],
  ['choice', true, 'expected one of read, write'],
  ['list', ['a', 5], 'expected an array of texts'],
  ['list', {}, 'expected an array of texts'],
  ['custom', 5, 'expected a day'],
  ['custom', '', 'expected a day'],
];
for (const [name, given, problem] of wrongJson) {
  test(`${name} refuses the desired value ${JSON.stringify(given)}`, () => {
    assert.throws(() => fields[name]?.fromJson(given), new FieldProblem(problem));
  });
}

test('a field without a default may be undefined, one with a default may not', () => {
  const open: Field<string | undefined> = text({ ...base });
  const closed: Field<string> = text({ ...base, default: 'x' });
  assert.equal(open.default, undefined);
  assert.equal(closed.default, 'x');
});

test('a field is for the host alone, not secret and not live unless it says so', () => {
  const field = text({ env: ['A', 'B'], description: '' });
  assert.deepEqual(
    { env: field.env, twin: field.twin, secret: field.secret, live: field.live },
    { env: ['A', 'B'], twin: null, secret: false, live: false },
  );
});
