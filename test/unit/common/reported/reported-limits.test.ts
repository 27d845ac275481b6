import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonValue } from '@iotedge-redis/common';
import { cleanReported, reportedBytes } from '../../../../modules/common/src/reported/reported-limits.ts';

const cases: [string, JsonValue, JsonValue][] = [
  ['keys that the hub refuses are spelt otherwise', { 'a.b $c#\n': 1, '': 2 }, { a_b__c__: 1, _: 2 }],
  ['a null inside of a list is left out', [1, null, 'a'], [1, 'a']],
  ['a number that is none becomes nothing', [Number.NaN, Infinity, 1], [1]],
  ['an integer that the hub refuses becomes a text', 2 ** 53, '9007199254740992'],
  ['the largest integer stays', -4_503_599_627_370_495, -4_503_599_627_370_495],
  ['a secret by its name is masked', { redisPassword: 'hunter2' }, { redisPassword: '***' }],
  ['a secret by its shape is masked', ['redis://u:hunter2@h'], ['redis://***@h']],
  ['plain values stay', { a: true, b: 'x', c: 1.5, d: null }, { a: true, b: 'x', c: 1.5, d: null }],
];
for (const [what, given, expected] of cases) {
  test(what, () => assert.deepEqual(cleanReported(given, 'x'), expected));
}

test('a text is cut to 4 KB, between two letters', () => {
  const cut = cleanReported('ä'.repeat(5000), 'x');
  assert.ok(typeof cut === 'string' && cut.endsWith('ä…') && Buffer.byteLength(cut) <= 4096);
  assert.equal(cleanReported('x'.repeat(4096), 'x'), 'x'.repeat(4096));
});

test('a long key is cut', () => {
  const [key = ''] = Object.keys(cleanReported({ ['k'.repeat(2000)]: 1 }, 'x') ?? {});
  assert.ok(Buffer.byteLength(key) <= 1024);
});

test('nesting stays within what the hub takes', () => {
  let deep: JsonValue = 1;
  for (let level = 0; level < 30; level += 1) deep = { a: deep };
  let levels = 0;
  for (let at: unknown = cleanReported(deep, 'x'); typeof at === 'object' && at !== null; levels += 1)
    at = 'a' in at ? at.a : undefined;
  assert.ok(levels <= 9, String(levels));
});

test('the size counts by whichever way gives more: as JSON or as the service counts', () => {
  assert.equal(reportedBytes('k', '"'.repeat(10)), 3 + 22 + 2);
  assert.equal(
    reportedBytes(
      'k',
      Array.from({ length: 100 }, () => 1),
    ),
    801,
  );
  assert.equal(reportedBytes('k', { a: true, b: null }), 24);
});
