import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closest, unknownName } from '../../../modules/common/src/suggest.ts';

const known = ['endpoint', 'logLevel', 'allowedKeys', 'db'];
const cases: [string, string | undefined][] = [
  ['endpiont', 'endpoint'],
  ['EndPoint', 'endpoint'],
  ['log_level', 'logLevel'],
  ['allowKeys', 'allowedKeys'],
  ['dd', 'db'],
  ['temperature', undefined],
];
for (const [given, expected] of cases) {
  test(`${given} is taken for ${expected ?? 'nothing known'}`, () => {
    assert.equal(closest(given, known), expected);
  });
}

test('an unknown name is answered with the names that are known', () => {
  assert.equal(unknownName('xyz123', ['a', 'b']), 'unknown; known are: a, b');
  assert.equal(unknownName('x', []), 'unknown; none is known here');
});
