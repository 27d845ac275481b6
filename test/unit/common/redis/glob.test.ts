import { equal } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { globMatcher } from '../../../../modules/common/src/redis/glob.ts';

const globs: readonly (readonly [pattern: string, text: string, expected: boolean])[] = [
  ['*', '', true],
  ['*', 'anything:at all', true],
  ['plant:*', 'plant:1:x', true],
  ['plant:*', 'plants', false],
  ['*:temp', 'a:b:temp', true],
  ['*:temp', 'a:temp:b', false],
  ['a*b*c', 'a-b-b-c', true],
  ['a*b*c', 'a-c-b', false],
  ['h?llo', 'hello', true],
  ['h?llo', 'hllo', false],
  ['?', '😀', true],
  ['h[ae]llo', 'hallo', true],
  ['h[ae]llo', 'hillo', false],
  ['h[^e]llo', 'hello', false],
  ['h[^e]llo', 'hallo', true],
  ['[0-9]', '7', true],
  ['[9-0]', '7', true],
  ['[0-9]', 'x', false],
  ['\\*', '*', true],
  ['\\*', 'x', false],
  ['[\\]]', ']', true],
  ['a[b', 'ab', true],
  ['a\\', 'a\\', true],
  ['', '', true],
  ['', 'a', false],
  ['device:*', 'device:a', true],
  ['device:*', 'devic', false],
  ['d?v', 'dev', true],
  ['d?v', 'dv', false],
  ['[a-c]x', 'bx', true],
  ['[c-a]x', 'bx', true],
  ['[^a]x', 'ax', false],
  ['[^a]x', 'bx', true],
  ['a\\*', 'a*', true],
  ['a\\*', 'ab', false],
  ['a.b', 'axb', false],
  ['a+(b)', 'a+(b)', true],
  ['[]]', 'x', false],
  ['a[-]b', 'a-b', true],
  ['iotedge-redis:*', 'iotedge-redis:x', true],
  ['😀?', '😀é', true],
  ['[&~!]', '~', true],
];

for (const [pattern, text, expected] of globs) {
  test(`the pattern ${pattern} ${expected ? 'takes' : 'leaves'} ${JSON.stringify(text)}`, () => {
    equal(globMatcher(pattern)(text), expected);
  });
}

test('a pattern with many stars does not take long to say no', () => {
  const begin = performance.now();
  equal(globMatcher('a*'.repeat(50) + 'b')('a'.repeat(5000)), false);
  equal(performance.now() - begin < 500, true);
});

test('an escaped text matches itself only', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (text, other) => {
      const pattern = text.replaceAll(/[\\*?[\]^-]/g, '\\$&');
      equal(globMatcher(pattern)(text), true);
      equal(globMatcher(pattern)(other), text === other);
    }),
  );
});
