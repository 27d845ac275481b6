import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SuiteError } from '@iotedge-redis/common';
import { RdbWriter } from '../../../modules/redis-snapshot/src/export/rdb-writer.ts';
import { RdbCheck } from '../../../modules/redis-snapshot/src/rdb/rdb-check.ts';

/** A DUMP payload: version 13, and a checksum that nobody looks at here. */
const dump = (...body: number[]): Buffer => Buffer.from([...body, 13, 0, ...Array<number>(8).fill(0)]);

test('SN-5 puts payloads together into a file', () => {
  const writer = new RdbWriter();
  const key = Buffer.from('key');
  const pieces = [...writer.entry(0, key, dump(0, 1, 97), undefined), ...writer.end()];
  const checked = new RdbCheck();
  checked.push(Buffer.concat(pieces));
  const facts = checked.finish();
  assert.deepEqual([facts.keys, facts.version, facts.isVerified], [1, 13, true]);
});

test('SN-5 a payload that begins with metadata of modules is refused: in a file they stand in front of the key', () => {
  assert.throws(
    () => new RdbWriter().entry(0, Buffer.from('key'), dump(243, 1, 1, 2, 3, 4, 0, 0, 1, 97), undefined),
    (error: unknown) => error instanceof SuiteError && error.code === 'DATA_INVALID',
  );
});
