import { doesNotThrow, equal, throws } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkAccess, matchesGlob } from '../../../modules/redis-client/src/access.ts';

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
];

for (const [pattern, text, expected] of globs) {
  test(`RC-32: the pattern ${pattern} ${expected ? 'takes' : 'leaves'} ${JSON.stringify(text)}`, () => {
    equal(matchesGlob(pattern, text), expected);
  });
}

test('a pattern with many stars does not take long to say no', () => {
  const begin = performance.now();
  equal(matchesGlob('a*'.repeat(50) + 'b', 'a'.repeat(5000)), false);
  equal(performance.now() - begin < 500, true);
});

test('an escaped text matches itself only', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (text, other) => {
      const pattern = text.replaceAll(/[\\*?[\]^-]/g, '\\$&');
      equal(matchesGlob(pattern, text), true);
      equal(matchesGlob(pattern, other), text === other);
    }),
  );
});

test('RC-32: refuses the own keys of the suite for reading and writing, whatever is allowed', () => {
  const rules = { allowedKeys: ['*'], readOnly: false };
  throws(() => checkAccess(rules, 'iotedge-redis:redis-sync:x', false), { code: 'REDIS_DENIED' });
  throws(() => checkAccess(rules, 'iotedge-redis:', true), { code: 'REDIS_DENIED' });
  doesNotThrow(() => checkAccess(rules, 'iotedge-redis', true));
});

test('RC-32: readOnly refuses writes and lets reads through', () => {
  const rules = { allowedKeys: [], readOnly: true };
  throws(() => checkAccess(rules, 'a', true), /readOnly/);
  doesNotThrow(() => checkAccess(rules, 'a', false));
});

test('RC-32: allowedKeys narrows reads and writes to its patterns', () => {
  const rules = { allowedKeys: ['a:*', 'b'], readOnly: false };
  doesNotThrow(() => checkAccess(rules, 'a:1', true));
  doesNotThrow(() => checkAccess(rules, 'b', false));
  throws(() => checkAccess(rules, 'c', false), /allowedKeys/);
  throws(() => checkAccess(rules, 'bb', true), /allowedKeys/);
});
