import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { JsonObject } from '@iotedge-redis/common';
import { applyPatch, patchTowards } from '../../../modules/common/src/merge-patch.ts';

const merges: [JsonObject, JsonObject, JsonObject][] = [
  [{ a: 1 }, { b: 2 }, { a: 1, b: 2 }],
  [{ a: 1 }, { a: null }, {}],
  [{ a: { b: 1, c: 2 } }, { a: { b: null, d: 3 } }, { a: { c: 2, d: 3 } }],
  [{ a: [1, 2, 3] }, { a: [9] }, { a: [9] }],
  [{ a: 1 }, { a: { b: null, c: 1 } }, { a: { c: 1 } }],
  [{ a: { b: 1 } }, { a: 'x' }, { a: 'x' }],
];
for (const [base, patch, expected] of merges) {
  test(`${JSON.stringify(patch)} makes ${JSON.stringify(base)} into ${JSON.stringify(expected)}`, () => {
    const before = structuredClone(base);
    assert.deepEqual(applyPatch(base, patch), expected);
    assert.deepEqual(base, before);
  });
}

const patches: [JsonObject, JsonObject, JsonObject][] = [
  [{ a: 1 }, { a: 1 }, {}],
  [{ a: 1, other: 2 }, { a: 3 }, { a: 3 }],
  [{}, { a: null }, {}],
  [{ a: 1 }, { a: null }, { a: null }],
  [{ a: { b: 1, c: 2 } }, { a: { b: 1 } }, { a: { c: null } }],
  [{ a: { b: 1 } }, { a: { b: 2 } }, { a: { b: 2 } }],
  [{}, { a: { b: null, c: 1 } }, { a: { c: 1 } }],
  [{ a: 1 }, { a: { b: 1 } }, { a: { b: 1 } }],
  [{ a: [1] }, { a: [1, 2] }, { a: [1, 2] }],
];
for (const [base, wanted, expected] of patches) {
  test(`${JSON.stringify(base)} is brought to ${JSON.stringify(wanted)} by ${JSON.stringify(expected)}`, () => {
    assert.deepEqual(patchTowards(base, wanted), expected);
  });
}

test('the patch always leads to what is wanted, and nothing is sent twice', () => {
  const leaf = fc.oneof(fc.integer(), fc.string(), fc.boolean(), fc.array(fc.integer()));
  const key = fc.constantFrom('a', 'b', 'c');
  const object = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<Record<string, T>> =>
    fc.dictionary(key, value, { noNullPrototype: true });
  const section = object(fc.oneof(leaf, object(fc.oneof(leaf, object(leaf)))));
  fc.assert(
    fc.property(section, section, (base, wanted) => {
      const there = applyPatch(base, patchTowards(base, wanted));
      for (const [name, value] of Object.entries(wanted)) assert.deepEqual({ ...there }[name], value);
      assert.deepEqual(patchTowards(there, wanted), {});
    }),
  );
});
