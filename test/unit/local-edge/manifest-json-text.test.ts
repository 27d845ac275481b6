import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readJson } from '../../../local-edge/src/manifest/json-text.ts';

const mistakes: readonly (readonly [string, number, number, RegExp])[] = [
  ['{\n  "a": 1,\n}', 3, 1, /"," before "}"/],
  ['{"a": }', 1, 7, /expected a value/],
  ['{"a" 1}', 1, 6, /":" after a key/],
  ['{"a": 1 "b": 2}', 1, 9, /expected ","/],
  ["{'a': 1}", 1, 2, /double quotes/],
  ['{"a": 1, "a": 2}', 1, 10, /given twice/],
  ['{"a": "x\ny"}', 1, 7, /no end/],
  ['{"a": 01}', 1, 7, /expected a value/],
  ['{"a": [1, 2}', 1, 12, /expected ","/],
  ['{"a": 1', 1, 8, /too early/],
  ['', 1, 1, /too early/],
  ['{} x', 1, 4, /end of the text/],
  ['{\n // c\n}', 2, 2, /no comments/],
  ['{"a": truely}', 1, 7, /expected a value/],
];

for (const [text, line, column, problem] of mistakes) {
  test(`places the mistake in ${JSON.stringify(text)}`, () => {
    const reading = readJson(text);
    assert(!reading.ok);
    assert.deepEqual([reading.mistake.line, reading.mistake.column], [line, column]);
    assert.match(reading.mistake.problem, problem);
  });
}

test('reads everything that JSON.stringify writes', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(0, 2), (value, indent) => {
      const text = JSON.stringify(value, null, indent);
      const reading = readJson(text);
      assert(reading.ok);
      assert.deepEqual(reading.value, JSON.parse(text));
    }),
  );
});

test('takes a text exactly when JSON.parse does, apart from keys given twice', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...Array.from('{}[]",:0-1.eE+ tru\\n/')) }), (text) => {
      let parses = true;
      try {
        JSON.parse(text);
      } catch {
        parses = false;
      }
      const reading = readJson(text);
      if (reading.ok || !reading.mistake.problem.includes('twice')) assert.equal(reading.ok, parses);
    }),
    { numRuns: 2000 },
  );
});
