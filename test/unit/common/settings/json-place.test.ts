import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { jsonErrorPlace, jsonErrorPosition } from '../../../../modules/common/src/settings/json-place.ts';

test('a text is faulty exactly when the parser says so', () => {
  const parses = (text: string): boolean => {
    try {
      JSON.parse(text);
      return true;
    } catch {
      return false;
    }
  };
  const nearJson = fc.oneof(
    fc.json(),
    fc.tuple(fc.json(), fc.nat(), fc.string({ maxLength: 2 })).map(([text, at, extra]) => {
      const place = at % (text.length + 1);
      return text.slice(0, place) + extra + text.slice(place + extra.length);
    }),
  );
  fc.assert(
    fc.property(nearJson, (text) => {
      assert.equal(jsonErrorPosition(text) === undefined, parses(text), text);
    }),
    { numRuns: 500 },
  );
});

const places: [string, string][] = [
  ['{"a": x}', 'unexpected text at line 1, column 7'],
  ['{"a": 1,}', 'unexpected text at line 1, column 9'],
  ['[1,\n 2,\n oops]', 'unexpected text at line 3, column 2'],
  ['"abc', 'unexpected text at line 1, column 1'],
  ['{"a": [1', 'it ends too early'],
  ['', 'it ends too early'],
  ['1 2', 'unexpected text at line 1, column 3'],
];
for (const [text, place] of places) {
  test(`the fault of ${JSON.stringify(text)} is placed: ${place}`, () => {
    assert.equal(jsonErrorPlace(text), place);
  });
}

test('nesting without end is a fault and not a crash', () => {
  assert.equal(typeof jsonErrorPosition('['.repeat(100_000)), 'number');
});
