import assert from 'node:assert/strict';
import { test } from 'node:test';
import { surplus } from '../../../modules/redis-snapshot/src/export/retention.ts';

const DAY = 86_400_000;
const now = 100 * DAY;
const name = (day: number): string => `202601${String(day).padStart(2, '0')}T000000000Z-00000${day}`;
const blob = (path: string, modifiedAt = now) => ({ name: path, etag: 'e', length: 1, modifiedAt });
const snapshot = (day: number) => [blob(`p/${name(day)}.rdb`), blob(`p/${name(day)}.manifest.json`)];
const going = (blobs: readonly ReturnType<typeof blob>[], keep: number): readonly string[] =>
  surplus(blobs, { prefix: 'p/', keep, now }).blobs;

test('SN-21 all but the newest go, their manifests first', () => {
  const blobs = [1, 2, 3].flatMap(snapshot);
  assert.deepEqual(going(blobs, 1), [
    ...[`p/${name(1)}.manifest.json`, `p/${name(2)}.manifest.json`],
    ...[`p/${name(1)}.rdb`, `p/${name(2)}.rdb`],
  ]);
  assert.deepEqual(going(blobs, 3), []);
});

test('SN-21 files of a cluster go together with their manifest', () => {
  const blobs = [
    ...snapshot(2),
    blob(`p/${name(1)}.0.rdb`),
    blob(`p/${name(1)}.1.rdb`),
    blob(`p/${name(1)}.manifest.json`),
  ];
  assert.deepEqual(going(blobs, 1), [
    `p/${name(1)}.manifest.json`,
    `p/${name(1)}.0.rdb`,
    `p/${name(1)}.1.rdb`,
  ]);
});

test('SN-21 what the module did not name stays, and so does what lies outside of the prefix', () => {
  const blobs = [
    ...snapshot(2),
    blob('p/mine.rdb', 0),
    blob('p/mine.manifest.json', 0),
    blob(`q/${name(1)}.manifest.json`, 0),
  ];
  assert.deepEqual(going(blobs, 1), []);
});

test('a file without a manifest goes a week later, when nothing can go on with it', () => {
  const blobs = [
    ...snapshot(3),
    blob(`p/${name(1)}.rdb`, now - 8 * DAY),
    blob(`p/${name(2)}.rdb`, now - DAY),
  ];
  assert.deepEqual(going(blobs, 5), [`p/${name(1)}.rdb`]);
});
