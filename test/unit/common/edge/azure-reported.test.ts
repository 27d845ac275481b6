import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkReportedPatch } from '../../../../modules/common/src/edge/azure-reported.ts';
import type { JsonObject, JsonValue } from '../../../../modules/common/src/edge/edge.ts';
import { SuiteError } from '../../../../modules/common/src/errors.ts';

function nested(levels: number): JsonObject {
  let value: JsonObject = { end: 1 };
  for (let level = 1; level < levels; level += 1) value = { o: value };
  return value;
}

const accepted: Record<string, JsonObject> = {
  'every kind of value': { s: 'x', n: 1.5, b: true, o: { a: [1, 'x', { y: 2 }] }, gone: null },
  'ten levels': nested(10),
  'the largest integers': { max: 4503599627370495, min: -4503599627370496 },
  'a string of 4 KB': { s: 'x'.repeat(4096) },
  'emoji and dashes in keys': { 'a-b_c😀': 1 },
};

for (const [what, patch] of Object.entries(accepted)) {
  test(`a reported patch may hold ${what}`, () => checkReportedPatch(patch));
}

const many: JsonObject = {};
for (let index = 0; index < 10; index += 1) many[`k${index}`] = 'x'.repeat(4000);

const refused: Record<string, [JsonObject, RegExp]> = {
  'a key with a dot': [{ a: { 'b.c': 1 } }, /a\.b\.c/],
  'a key with a dollar sign': [{ $version: 1 }, /\$version/],
  'a key with a space': [{ 'a b': 1 }, /a b/],
  'a key with a hash, which edgeHub refuses': [{ 'a#': 1 }, /a#/],
  'a key with a control character': [{ 'a\u0001': 1 }, /control/],
  'an empty key': [{ '': 1 }, /empty/],
  'a key over 1 KB': [{ ['k'.repeat(1025)]: 1 }, /1024/],
  'a string over 4 KB': [{ deep: { s: 'é'.repeat(2049) } }, /deep\.s/],
  'an integer out of range': [{ n: 4503599627370496 }, / n:/],
  'a number that is not finite': [{ n: Number.NaN }, / n:/],
  'null inside of an array': [{ list: [1, null] }, /list\[1\]/],
  'eleven levels': [nested(11), /10 levels/],
  'eleven levels by arrays': [{ a: [[[[[[[[[[1]]]]]]]]]] as JsonValue }, /10 levels/],
  'more than 32 KB': [many, /32768/],
};

for (const [what, [patch, text]] of Object.entries(refused)) {
  test(`a reported patch with ${what} is refused before it is sent, by name and without its value`, () => {
    assert.throws(
      () => checkReportedPatch(patch),
      (error: unknown) =>
        error instanceof SuiteError &&
        error.code === 'EDGE_REFUSED' &&
        !error.retryable &&
        text.test(error.message) &&
        !/x{10}|é{10}/.test(error.message),
    );
  });
}
