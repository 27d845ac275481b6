import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLog, sleep } from '@iotedge-redis/common';
import { blockBytes } from '../../../modules/redis-snapshot/src/export/block-upload.ts';
import { endOfUpload } from '../../../modules/redis-snapshot/src/export/spool-upload.ts';

function watched(makeLasting: () => Promise<void> = () => Promise.resolve()) {
  const seen = { lasting: 0, lines: [] as string[] };
  return {
    seen,
    log: createLog({ level: 'info', write: (line) => seen.lines.push(line) }),
    makeLasting: () => {
      seen.lasting += 1;
      return makeLasting();
    },
  };
}

test('SN-4 a file whose upload ends right behind it is not made to last', async () => {
  const { seen, log, makeLasting } = watched();
  const ids = sleep(20).then(() => ['a', 'b']);
  assert.deepEqual(await endOfUpload(ids, makeLasting, log), ['a', 'b']);
  assert.deepEqual(seen, { lasting: 0, lines: [] });
});

test('SN-4 a file whose upload takes its time, or fails, is made to last', async () => {
  const slow = watched();
  const ids = sleep(1500).then(() => ['a']);
  assert.deepEqual(await endOfUpload(ids, slow.makeLasting, slow.log), ['a']);
  assert.deepEqual(slow.seen, { lasting: 1, lines: [] });
  const failing = watched();
  const failure = Promise.reject(new Error('the SAS has expired'));
  await assert.rejects(endOfUpload(failure, failing.makeLasting, failing.log), /expired/);
  assert.equal(failing.seen.lasting, 1);
});

test('a volume that does not take the file for good does not end its upload, and is named', async () => {
  const { seen, log, makeLasting } = watched(() => Promise.reject(new Error('no space left')));
  const ids = sleep(1200).then(() => ['a']);
  assert.deepEqual(await endOfUpload(ids, makeLasting, log), ['a']);
  assert.match(seen.lines.join('\n'), /begins anew.*no space left/);
});

test('SN-4 a blob of small, then larger blocks may have 600 GiB, and its blocks are at most 16 MiB', () => {
  let bytes = 0;
  for (let index = 0; index < 50_000; index += 1) {
    assert.ok(blockBytes(index) <= 16 * 1024 ** 2 && blockBytes(index) >= blockBytes(Math.max(0, index - 1)));
    bytes += blockBytes(index);
  }
  assert.ok(bytes > 600 * 1024 ** 3);
});
