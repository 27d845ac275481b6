import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FingerprintSet, fingerprint } from '../../../modules/common/src/fingerprint-set.ts';

test('RS-29 tells a million different keys apart and knows each one again, once', () => {
  const set = new FingerprintSet(2 * 1024 * 1024);
  const visit = (index: number) => {
    const { high, low } = fingerprint(Buffer.from(`key${index}`));
    return set.visit(high, low);
  };
  for (let index = 0; index < 500_000; index += 1) {
    const { high, low } = fingerprint(Buffer.from(`key${index}`));
    set.add(high, low);
  }
  const counts = { kept: 0, absent: 0, again: 0 };
  for (let index = 0; index < 1_000_000; index += 1) counts[visit(index)] += 1;
  assert.deepEqual(counts, { kept: 500_000, absent: 500_000, again: 0 });
  assert.equal(visit(1), 'again');
  set.clear();
  assert.equal(visit(1), 'absent');
});
