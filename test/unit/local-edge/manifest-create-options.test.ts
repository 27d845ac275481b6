import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { joinCreateOptions, splitCreateOptions } from '../../../local-edge/src/manifest/create-options.ts';

test('cuts at 512 characters into pieces that join to the same text', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 4000, unit: 'binary' }), (text) => {
      const pieces = splitCreateOptions(text);
      for (const piece of Object.values(pieces)) assert(piece.length <= 512);
      assert.equal(joinCreateOptions(pieces), text);
    }),
  );
});

test('names the pieces as the tools do', () => {
  assert.deepEqual(Object.keys(splitCreateOptions('x'.repeat(1100))), [
    'createOptions',
    'createOptions01',
    'createOptions02',
  ]);
});

test('does not cut a character in two', () => {
  const pieces = splitCreateOptions(`${'x'.repeat(511)}😀`);
  assert.deepEqual(Object.values(pieces), ['x'.repeat(511), '😀']);
});

test('takes eight pieces and refuses a ninth', () => {
  assert.equal(Object.keys(splitCreateOptions('x'.repeat(4096))).length, 8);
  assert.match(String(Object.values(splitCreateOptions('x'.repeat(4097)))), /4097 characters/);
});

const joins: readonly (readonly [string, Record<string, unknown>, string | RegExp])[] = [
  ['nothing', {}, ''],
  ['one text', { createOptions: '{}' }, '{}'],
  ['pieces in any order', { createOptions02: 'c', createOptions: 'a', createOptions01: 'b' }, 'abc'],
  ['names without regard to case', { CreateOptions: 'a', CREATEOPTIONS01: 'b' }, 'ab'],
  ['pieces longer than 512', { createOptions: 'x'.repeat(900) }, 'x'.repeat(900)],
  ['an object', { createOptions: { Cmd: ['a'] } }, '{"Cmd":["a"]}'],
  ['a gap', { createOptions: 'a', createOptions02: 'c' }, /createOptions01 is missing/],
  ['a first piece that is missing', { createOptions01: 'b' }, /createOptions is missing/],
  ['a name with one digit', { createOptions: 'a', createOptions1: 'b' }, /no name of a piece/],
  ['a piece that is no text', { createOptions: 'a', createOptions01: 7 }, /not a string/],
];

for (const [title, settings, expected] of joins) {
  test(`joins ${title}`, () => {
    const joined = joinCreateOptions(settings);
    if (typeof expected === 'string') assert.equal(joined, expected);
    else assert.match(typeof joined === 'string' ? joined : joined.problem, expected);
  });
}
